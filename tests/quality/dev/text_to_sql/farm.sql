-- A farm without a single declared key: initials as key names, two bridges, years as plain numbers.
CREATE TABLE field (fid int, name text, area numeric(6, 1), soil text, region text);
CREATE TABLE crop (cid int, name text, season text, price_per_ton numeric(8, 2), origin_country text);
CREATE TABLE planting (pid int, fid int, cid int, year int, yield_tons numeric(8, 1), irrigated boolean);
CREATE TABLE worker (wid int, name text, hometown text, age int, wage numeric(8, 2), hired_year int, supervised_by text);
CREATE TABLE assignment (wid int, fid int);
INSERT INTO field VALUES (1, 'Long Acre', 12.5, 'clay', 'North'), (2, 'Mill Field', 8.0, 'loam', 'North'), (3, 'Hill Top', 20.3, 'sand', 'West'), (4, 'Brook Side', 5.5, 'loam', 'East'), (5, 'Stone Patch', 2.1, 'sand', 'West');
INSERT INTO crop VALUES (1, 'Wheat', 'summer', 210.5, 'Turkey'), (2, 'Barley', 'summer', 180, 'Turkey'), (3, 'Kale', 'winter', 640, 'Greece'), (4, 'Rye', 'winter', 195, 'Iran'), (5, 'Maize', 'summer', 205, 'Mexico'), (6, 'Saffron', 'autumn', 900000, 'Iran');
INSERT INTO planting VALUES (1, 1, 1, 2019, 80.5, true), (2, 1, 2, 2020, 70, true), (3, 2, 1, 2019, 44, false), (4, 2, 3, 2021, 30.5, true), (5, 3, 4, 2020, 95, false), (6, 3, 1, 2021, 120, false), (7, 4, 3, 2020, 22, true), (8, 1, 5, 2021, 66, true), (9, 3, 1, 2022, 101, false);
INSERT INTO worker VALUES (1, 'Asha', 'Derby', 28, 2100, 2018, 'Milo'), (2, 'Boris', 'Derby', 44, 2600, 2010, 'Milo'), (3, 'Carmen', 'Lincoln', 35, 2300, 2015, 'Nell'), (4, 'Dmitri', 'Stamford', 61, 2900, 1998, 'Nell'), (5, 'Esi', 'Lincoln', 23, 1900, 2022, 'Milo'), (6, 'Farid', 'Oakham', 33, 2250, 2018, 'Milo');
INSERT INTO assignment VALUES (1, 1), (1, 2), (2, 3), (3, 1), (3, 3), (4, 4), (5, 1), (1, 3);
ANALYZE;
