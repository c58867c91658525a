"""flatdata's dialects, each as a way to ask and to write: what `questions` says in the words of its API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from benchmarks.questions import Film, Found, Question
from benchmarks.sites import COMPANY_ID, FILMS_ID, TYPES
from benchmarks.wire import Answer, Request, get, send_json

COUNTER: Final = "@counter"
"""In a request for load generators: eight characters that become a number nobody sent before."""


class Adapter(Protocol):
    """How one API is spoken to. What an API cannot do gives None instead of a request."""

    title: str

    def ask(self, question: Question) -> Request | None:
        """The request for a question."""

    def read(self, question: Question, answer: Answer) -> Found:
        """What came back."""

    def create(self, film: Film, run: str) -> Request:
        """The request that creates one film; its name has `run` (six characters) and `COUNTER` in it."""


class BulkAdapter(Adapter, Protocol):
    """An API that also takes many films in one request."""

    def create_many(self, films: Sequence[Film]) -> Request:
        """The request that creates them."""


def _named(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.rpartition("/")[2] for name in names)


class Flextype:
    """`/api/entries`. Its answers have no total."""

    title = "Flextype"
    _operators: Final = {
        "equal": "eq",
        "at least": "gte",
        "contains": "contains",
        "in": "in",
        "not equal": "neq",
    }

    def __init__(self, tokens: Mapping[str, str], collection: str = "films") -> None:
        self._token = tokens["entries"]
        self._access = tokens["access"]
        self._collection = collection

    def ask(self, question: Question) -> Request | None:
        """Neither words nor counts can be asked for."""
        if question.name is not None:
            return self.entry(question.name)
        if question.words or question.counts is not None:
            return None
        return self.collection(question)

    def entry(self, name: str) -> Request:
        """A fetch of one film."""
        return self.fetch(f"{self._collection}/{name}", {})

    def collection(self, question: Question) -> Request:
        """A fetch of the films that pass a filter: `options[...]` as PHP takes them apart."""
        options: dict[str, str] = {"[collection]": "true"}
        for number, test in enumerate(question.tests):
            where = f"[filter][where][{number}]"
            options[f"{where}[key]"] = test.field
            options[f"{where}[operator]"] = self._operators[test.comparison]
            if isinstance(test.value, tuple):
                for place, value in enumerate(test.value):
                    options[f"{where}[value][{place}]"] = str(value)
            else:
                options[f"{where}[value]"] = str(test.value)
        if question.sort is not None:
            options["[filter][sort_by][key]"] = question.sort[0]
            options["[filter][sort_by][direction]"] = "DESC" if question.sort[1] else "ASC"
        if question.groups is not None:
            options["[filter][group_by]"] = question.groups
        options["[filter][offset]"] = str(question.offset)
        options["[filter][limit]"] = str(question.limit)
        return self.fetch(self._collection, options)

    def fetch(self, slug: str, options: Mapping[str, str]) -> Request:
        """A fetch as it is sent: `options` by what follows the word in the query, `[filter][limit]`."""
        named = {f"options{path}": value for path, value in options.items()}
        return get("/api/entries", {"id": slug, "token": self._token, **named})

    def read(self, question: Question, answer: Answer) -> Found:
        """`{"data": {<id>: <entry>}}`; 404 where nothing matches."""
        if answer.status == 404:
            return Found()
        data = answer.json["data"]
        if question.name is not None:
            return Found(_named([data["id"]]))
        if question.groups is not None:
            return Found(groups={value: len(entries) for value, entries in data.items()})
        return Found(_named(list(data)))

    def create(self, film: Film, run: str) -> Request:
        """`POST /api/entries`, durable when it is answered."""
        return self.create_named(film, f"{run}-{COUNTER}")

    def create_named(self, film: Film, name: str) -> Request:
        """The same under a name."""
        body = {
            "id": f"{self._collection}/{name}",
            "token": self._token,
            "access_token": self._access,
            "data": film,
        }
        return send_json("POST", "/api/entries", body)


class Fliplet:
    """`/v1/data-sources`: queries with an exact total."""

    title = "Fliplet"
    _operators: Final = {
        "equal": "$eq",
        "at least": "$gte",
        "contains": "$iLike",
        "in": "$in",
        "not equal": "$ne",
    }

    def __init__(self, tokens: Mapping[str, str], source: int = FILMS_ID) -> None:
        self._headers = {"Auth-token": tokens["data-sources"]}
        self._path = f"/v1/data-sources/{source}"

    def ask(self, question: Question) -> Request | None:
        """`POST …/data/query`."""
        if question.name is not None:
            return get(f"{self._path}/data/{question.name}", headers=self._headers)
        if question.words or question.groups is not None:
            return None
        body: dict[str, Any] = {
            "where": {test.field: {self._operators[test.comparison]: test.value} for test in question.tests},
            "limit": question.limit,
            "offset": question.offset,
            "includePagination": True,
        }
        if question.sort is not None:
            body["order"] = [[f"data.{question.sort[0]}", "DESC" if question.sort[1] else "ASC"]]
        if question.counts is not None:
            group = {"$group": {"_id": f"$data.{question.counts}", "count": {"$sum": 1}}}
            body = {"aggregate": [group]}
        return self.query(body)

    def query(self, body: Mapping[str, Any]) -> Request:
        """A query as it is sent."""
        return send_json("POST", f"{self._path}/data/query", body, self._headers)

    def read(self, question: Question, answer: Answer) -> Found:
        """`{"entries": [...], "pagination": {"total": ...}}`."""
        if question.name is not None:
            return Found((answer.json["id"],))
        entries = answer.json["entries"]
        if question.counts is not None:
            return Found(groups={str(row["_id"]): row["count"] for row in entries})
        return Found(tuple(str(entry["id"]) for entry in entries), answer.json["pagination"]["total"])

    def create(self, film: Film, run: str) -> Request:
        """`PUT …/data`; the server names the row."""
        return send_json("PUT", f"{self._path}/data", film, self._headers)

    def create_many(self, films: Sequence[Film], *, append: bool = True) -> Request:
        """Bulk import."""
        body = {"append": append, "entries": films}
        return send_json("POST", f"{self._path}/data", body, self._headers)

    def commit(self, films: Sequence[Film]) -> Request:
        """Commit, as clients send it that do not read the answer."""
        body = {"append": True, "entries": [{"data": film} for film in films], "returnEntries": False}
        return send_json("POST", f"{self._path}/commit", body, self._headers)


class Bubble:
    """`/api/1.1/obj`: searches whose `count` and `remaining` add up to the total."""

    title = "Bubble"
    _operators: Final = {"equal": "equals", "in": "in", "not equal": "not equal"}

    def __init__(self, tokens: Mapping[str, str], type_name: str = "films") -> None:
        self._headers = {"Authorization": f"Bearer {tokens['things']}"}
        self._path = f"/api/1.1/obj/{type_name}"

    def ask(self, question: Question) -> Request | None:
        """`GET /obj/<type>`; texts are searched for words, not for parts of them."""
        if question.name is not None:
            return get(f"{self._path}/{question.name}", headers=self._headers)
        if question.groups is not None or question.counts is not None:
            return None
        constraints: list[dict[str, Any]] = []
        for test in question.tests:
            if test.comparison == "contains":
                return None
            if test.comparison == "at least":
                constraints.append(_constraint(test.field, "greater than", test.value - 1))
            else:
                constraints.append(_constraint(test.field, self._operators[test.comparison], test.value))
        sort = question.sort
        if question.words:
            constraints.append(_constraint("_all", "text contains", " ".join(question.words)))
            sort = sort or ("_relevance", True)
        return self.search(constraints, sort, question.offset, question.limit)

    def search(
        self,
        constraints: Sequence[Mapping[str, Any]],
        sort: tuple[str, bool] | None = None,
        cursor: int = 0,
        limit: int = 20,
    ) -> Request:
        """A search as it is sent."""
        query = {"cursor": str(cursor), "limit": str(limit)}
        if constraints:
            query["constraints"] = msgspec.json.encode(constraints).decode()
        if sort is not None:
            query |= {"sort_field": sort[0], "descending": str(sort[1]).lower()}
        return get(self._path, query, self._headers)

    def read(self, question: Question, answer: Answer) -> Found:
        """`{"response": {"results": [...], "count", "remaining", "cursor"}}`."""
        response = answer.json["response"]
        if question.name is not None:
            return Found((response["_id"],))
        total = response["cursor"] + response["count"] + response["remaining"]
        names = tuple(thing["_id"] for thing in response["results"])
        return Found(names, total, ranked=bool(question.words) and question.sort is None)

    def create(self, film: Film, run: str) -> Request:
        """`POST /obj/<type>`; the server names the thing."""
        return send_json("POST", self._path, film, self._headers)

    def create_many(self, films: Sequence[Film]) -> Request:
        """`POST /obj/<type>/bulk`: a line for each."""
        body = b"\n".join(msgspec.json.encode(film) for film in films)
        return Request("POST", f"{self._path}/bulk", body, {"Content-Type": "text/plain", **self._headers})


class Appenate:
    """`PUT /api/v2/datasource`: it cannot search, and takes rows in hundreds."""

    title = "Appenate"

    def __init__(self, tokens: Mapping[str, str], source: str = "films") -> None:
        self._key = tokens["datasource"]
        self._source = source

    def create(self, film: Film, run: str) -> Request:
        """One new row."""
        return self.put(NewRows=[vals_of(film, f"{run}-{COUNTER}")])

    def create_many(self, films: Sequence[Film]) -> Request:
        """New rows, whose keys are their titles."""
        return self.put(NewRows=[vals_of(film) for film in films])

    def put(self, **collections: Any) -> Request:
        """A PUT as it is sent: `Rows`, `NewRows`, `DeletedRows`, `Headers`."""
        body = {
            "ExternalId": self._source.upper(),
            "CompanyId": COMPANY_ID,
            "IntegrationKey": self._key,
            "Name": self._source,
            **collections,
        }
        return send_json("PUT", "/api/v2/datasource?format=json", body)


def vals_of(film: Film, key: str | None = None) -> list[str]:
    """A film as Appenate has rows: texts in the order of the columns, the key first."""
    return [key or film["title"], *(_text(film[column]) for column in list(TYPES)[1:])]


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _constraint(key: str, kind: str, value: object) -> dict[str, Any]:
    return {"key": key, "constraint_type": kind, "value": value}
