-- Where the films of this catalogue are on: the database of somebody else.
-- Make cinemas.sqlite again with:  rm cinemas.sqlite && sqlite3 cinemas.sqlite < cinemas.sql

CREATE TABLE cinemas (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    city    TEXT NOT NULL,
    country TEXT NOT NULL,
    seats   INTEGER NOT NULL
);

CREATE TABLE screenings (
    id        INTEGER PRIMARY KEY,
    cinema_id INTEGER NOT NULL REFERENCES cinemas (id),
    film      TEXT NOT NULL,     -- slug of the entry, such as movies/lanternfish
    starts_at TEXT NOT NULL,     -- local time, 'YYYY-MM-DD HH:MM'
    price     REAL NOT NULL
);

CREATE INDEX screenings_film ON screenings (film, starts_at);

INSERT INTO cinemas (id, name, city, country, seats) VALUES
    (1, 'Kinoteatr Wisła', 'Kraków', 'Poland', 212),
    (2, 'Cinema Alvorada', 'Porto', 'Portugal', 148),
    (3, 'The Ferry House', 'Galway', 'Ireland', 76),
    (4, 'Bio Månen', 'Turku', 'Finland', 94),
    (5, 'Kijk op Zes', 'Utrecht', 'Netherlands', 120);

INSERT INTO screenings (id, cinema_id, film, starts_at, price) VALUES
    (1, 1, 'movies/lanternfish', '2026-10-02 20:30', 6.5),
    (2, 1, 'movies/midnight-tram', '2026-10-02 23:00', 5.0),
    (3, 2, 'movies/the-borrowed-coast', '2026-10-03 21:30', 7.0),
    (4, 3, 'movies/the-ferrymans-union', '2026-10-03 19:00', 8.0),
    (5, 3, 'movies/the-archivist-of-small-fires', '2026-10-04 19:00', 8.0),
    (6, 4, 'movies/six-winters', '2026-10-04 18:00', 9.5),
    (7, 4, 'movies/the-lighthouse-inventory', '2026-10-05 20:00', 9.5),
    (8, 5, 'movies/blue-tractor', '2026-10-07 14:00', 6.0),
    (9, 5, 'movies/margarines-and-kings', '2026-10-07 20:15', 9.0),
    (10, 5, 'movies/lanternfish', '2026-10-08 21:00', 9.0),
    (11, 2, 'movies/birds-of-prey', '2026-10-09 21:30', 7.0),
    (12, 4, 'movies/2019/the-cormorants', '2026-10-10 16:00', 8.0),
    (13, 1, 'movies/dead-pigs', '2026-10-11 18:00', 6.5),
    (14, 3, 'movies/the-last-projectionist', '2026-10-11 20:00', 8.0),
    (15, 1, 'movies/2019/zero-gravity-choir', '2026-10-12 17:30', 5.0);
