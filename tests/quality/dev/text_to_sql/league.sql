-- A football league: two keys from matches to teams, players, transfers between teams, referees, goals and cards.
CREATE TABLE venue (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL, capacity int, built_year int, surface text);
CREATE TABLE team (id int PRIMARY KEY, name text NOT NULL, nickname text, founded_year int, venue_id int REFERENCES venue, annual_budget numeric(12, 2));
CREATE TABLE coach (id int PRIMARY KEY, name text NOT NULL, nationality text NOT NULL, team_id int REFERENCES team, appointed_on date);
CREATE TABLE player (id int PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, position text NOT NULL, birth_date date NOT NULL, nationality text NOT NULL, team_id int REFERENCES team, shirt_number int, market_value numeric(12, 2), height_cm int);
CREATE TABLE referee (id int PRIMARY KEY, name text NOT NULL, experience_years int NOT NULL);
CREATE TABLE match (id int PRIMARY KEY, season text NOT NULL, played_on date NOT NULL, home_team_id int NOT NULL REFERENCES team, away_team_id int NOT NULL REFERENCES team, home_score int NOT NULL, away_score int NOT NULL, attendance int, referee_id int REFERENCES referee);
CREATE TABLE goal (id int PRIMARY KEY, match_id int NOT NULL REFERENCES match, player_id int NOT NULL REFERENCES player, minute int NOT NULL, kind text NOT NULL);
CREATE TABLE card (id int PRIMARY KEY, match_id int NOT NULL REFERENCES match, player_id int NOT NULL REFERENCES player, colour text NOT NULL, minute int NOT NULL);
CREATE TABLE transfer (id int PRIMARY KEY, player_id int NOT NULL REFERENCES player, from_team_id int REFERENCES team, to_team_id int REFERENCES team, transfer_date date NOT NULL, fee numeric(12, 2));

INSERT INTO venue VALUES (1, 'Riverside Park', 'Alton', 42000, 1998, 'grass'), (2, 'The Foundry', 'Brackley', 18500, 1932, 'grass'), (3, 'Lighthouse Arena', 'Corby', 27000, 2011, 'hybrid'), (4, 'Mill Lane', 'Dover', 9800, 1921, 'grass'), (5, 'Summit Dome', 'Ely', 31000, 2019, 'artificial'), (6, 'Old Docks', 'Frome', 7600, 1955, 'grass');
INSERT INTO team VALUES (1, 'Alton Rovers', 'The Gulls', 1899, 1, 64000000), (2, 'Brackley Town', 'The Smiths', 1921, 2, 12500000), (3, 'Corby United', 'The Beacons', 1905, 3, 27500000), (4, 'Dover Athletic', NULL, 1931, 4, 5200000), (5, 'Ely City', 'The Eels', 1978, 5, 41000000), (6, 'Gosport Wanderers', NULL, 1890, NULL, 3100000);
INSERT INTO coach VALUES (1, 'Marta Nilsson', 'Sweden', 1, '2021-07-01'), (2, 'Owen Price', 'Wales', 2, '2023-02-14'), (3, 'Luca Ferri', 'Italy', 3, '2019-06-20'), (4, 'Ines Duarte', 'Portugal', 4, '2022-11-30'), (5, 'Karl Vogt', 'Germany', NULL, NULL);
INSERT INTO player SELECT n, (ARRAY['Adam', 'Boris', 'Cesar', 'Dario', 'Emil', 'Franz', 'Goran', 'Henri', 'Ivan'])[1 + n % 9], (ARRAY['Ames', 'Burke', 'Cruz', 'Dunne', 'Evans', 'Flores', 'Grant', 'Hoffman'])[1 + n % 8], (ARRAY['goalkeeper', 'defender', 'defender', 'midfielder', 'midfielder', 'forward'])[1 + n % 6], date '1986-02-03' + n * 97, (ARRAY['England', 'Brazil', 'France', 'Spain', 'Croatia'])[1 + n * n % 5], CASE WHEN n % 16 <> 0 THEN 1 + n * n % 13 % 5 END, 1 + n * 7 % 40, CASE WHEN n % 10 <> 0 THEN 100000 * (1 + n * 19 % 240) END, 168 + n * 5 % 30 FROM generate_series(1, 80) n;
INSERT INTO referee VALUES (1, 'Paula Reyes', 12), (2, 'Simon Tate', 7), (3, 'Viktor Lind', 19), (4, 'Yara Okoye', 3), (5, 'Zoe Marsh', 1);
INSERT INTO match SELECT n, (ARRAY['2022/23', '2023/24', '2024/25'])[1 + (n - 1) / 20], date '2022-08-13' + (n - 1) / 20 * 365 + (n - 1) % 20 * 12, 1 + n % 5, 1 + (n + 1 + n / 5 % 4) % 5, n * 3 % 5, n * 7 % 4, CASE WHEN n % 13 <> 0 THEN 3000 + n * 1471 % 36000 END, 1 + n % 4 FROM generate_series(1, 60) n;
INSERT INTO goal SELECT n, 1 + n * 7 % 60, 1 + n * n % 167 % 61, 1 + n * 29 % 90, (ARRAY['open play', 'penalty', 'header', 'free kick', 'open play'])[1 + n % 5] FROM generate_series(1, 150) n;
INSERT INTO card SELECT n, 1 + n * 11 % 60, 1 + n * 13 % 75, CASE WHEN n % 9 = 0 THEN 'red' ELSE 'yellow' END, 5 + n * 17 % 85 FROM generate_series(1, 100) n;
INSERT INTO transfer SELECT n, 1 + n * 17 % 80, 1 + n % 5, 1 + (n + 2) % 5, date '2021-01-05' + n * 47, CASE WHEN n % 5 <> 0 THEN 250000 * (1 + n * 7 % 33) END FROM generate_series(1, 30) n;
UPDATE player SET height_cm = 203 WHERE id = 31;
INSERT INTO goal SELECT 150 + n, 1 + n * 5 % 60, 7 + n * (n - 1) / 2 % 11 % 6, 3 + n * 13 % 80, 'open play' FROM generate_series(1, 40) n;
INSERT INTO goal SELECT 190 + n, n, (ARRAY[7, 7, 7, 8, 8, 9])[n], 10 * n, 'header' FROM generate_series(1, 6) n;
ANALYZE;
