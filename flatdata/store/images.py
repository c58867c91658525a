"""What a file says, as the log and the memory hold it: the JSON of its mapping and of its `_meta`."""

from __future__ import annotations

from typing import Final, NamedTuple

from flatdata.store.codec import CodecError, dump_entry, load_entry
from flatdata.store.entry import decode_json, encode_json
from flatdata.store.log import Effect, image_bytes

META_KEY: Final = "_meta"


class Image(NamedTuple):
    """What a file says: the compact JSON of its mapping and of its `_meta`."""

    body: bytes
    meta_body: bytes = b""


def image_of(raw: bytes, form: str) -> Image:
    """What the bytes of a file in `form` say. A `_meta` that is not a mapping is a mistake.

    Raises:
        CodecError: if they cannot be understood.
    """
    fields = load_entry(raw, form)
    if META_KEY not in fields:
        return Image(encode_json(fields))
    meta = fields.pop(META_KEY)
    if meta is not None and not isinstance(meta, dict):
        raise CodecError(f"{META_KEY} must be a mapping", None)
    return Image(encode_json(fields), encode_json(meta) if meta else b"")


def image_before(effect: Effect) -> Image:
    """What the file of a `put` or `delete` said before; its body is empty if there was none."""
    return Image(image_bytes(effect.old), image_bytes(effect.old_meta))


def image_after(effect: Effect) -> Image:
    """What the file of a `put` says from then on."""
    return Image(image_bytes(effect.new), image_bytes(effect.new_meta))


def render(image: Image, form: str) -> bytes:
    """The bytes of a file in `form` that says `image`, which `check_storable` let pass when it was made."""
    fields = decode_json(image.body)
    if image.meta_body:
        fields[META_KEY] = decode_json(image.meta_body)
    return dump_entry(fields, form, is_storable=True)
