-- Museums and exhibitions in the style of teaching databases: Mixed_Case names, ids of every table, bridge tables.
CREATE TABLE museum (Museum_ID int PRIMARY KEY, Name text NOT NULL, City text NOT NULL, Opened_Year int, Num_of_Staff int, Annual_Visitors int);
CREATE TABLE artist (Artist_ID int PRIMARY KEY, Name text NOT NULL, Nationality text, Birth_Year int, Death_Year int, Movement text);
CREATE TABLE artwork (Artwork_ID int PRIMARY KEY, Title text NOT NULL, Artist_ID int REFERENCES artist, Museum_ID int REFERENCES museum, Year_Created int, Medium text, Estimated_Value numeric(12, 2));
CREATE TABLE exhibition (Exhibition_ID int PRIMARY KEY, Theme text NOT NULL, Museum_ID int REFERENCES museum, Start_Date date, End_Date date, Ticket_Price numeric(6, 2));
CREATE TABLE exhibition_artwork (Exhibition_ID int REFERENCES exhibition, Artwork_ID int REFERENCES artwork, PRIMARY KEY (Exhibition_ID, Artwork_ID));
CREATE TABLE visitor (Visitor_ID int PRIMARY KEY, Name text NOT NULL, Age int, Membership_Level int, Home_City text);
CREATE TABLE visit (Visit_ID int PRIMARY KEY, Visitor_ID int REFERENCES visitor, Museum_ID int REFERENCES museum, Visit_Date date, Total_Spent numeric(8, 2), Num_of_Tickets int);

INSERT INTO museum VALUES (1, 'Marine Museum', 'Porto', 1964, 62, 210000), (2, 'House of Glass', 'Murano', 1991, 18, 54000), (3, 'National Gallery', 'Oslo', 1902, 140, 480000), (4, 'Railway Museum', 'York', 1975, 75, 310000), (5, 'Tiny Prints', 'Porto', 2012, 4, NULL), (6, 'Ceramics Hall', 'Faenza', 1938, 25, 61000), (7, 'Sound Archive', 'Oslo', NULL, 9, 12000);
INSERT INTO artist VALUES (1, 'Ada Brun', 'Norway', 1880, 1951, 'Realism'), (2, 'Bo Lindahl', 'Sweden', 1931, NULL, 'Pop'), (3, 'Carla Neri', 'Italy', 1902, 1988, 'Futurism'), (4, 'Duarte Pires', 'Portugal', 1955, NULL, NULL), (5, 'Elena Rossi', 'Italy', 1978, NULL, 'Pop'), (6, 'Finn Moe', 'Norway', 1860, 1929, 'Realism'), (7, 'Greta Holm', 'Sweden', 1990, NULL, 'Abstract'), (8, 'Hugo Sand', 'Norway', 1949, NULL, 'Abstract');
INSERT INTO artwork SELECT n, (ARRAY['Harbour', 'Winter', 'Portrait', 'Garden', 'Night', 'Bridge', 'Fisherman'])[1 + n % 7] || ' ' || (ARRAY['I', 'II', 'Study', 'in Blue', 'at Dawn'])[1 + n % 5], 1 + n * n % 11 % 7, 1 + n * n % 13 % 6, 1890 + n * 17 % 130, (ARRAY['oil', 'watercolour', 'bronze', 'glass', 'print'])[1 + n * 3 % 5], CASE WHEN n % 9 <> 0 THEN 1500 + n * n * 211 % 99000 END FROM generate_series(1, 60) n;
INSERT INTO exhibition VALUES (1, 'Northern Light', 3, '2022-03-01', '2022-09-01', 14), (2, 'Glass and Fire', 2, '2022-05-10', '2022-08-31', 9.5), (3, 'Portraits', 3, '2023-02-01', '2023-06-15', 16), (4, 'Steam', 4, '2023-04-01', NULL, 12), (5, 'The Sea', 1, '2024-01-20', '2024-07-01', 11), (6, 'Small Things', 5, '2024-02-02', '2024-03-02', 0), (7, 'Clay', 6, '2021-09-09', '2022-01-09', 7);
INSERT INTO exhibition_artwork SELECT DISTINCT 1 + n * n % 7 % 5, 1 + n * 7 % 57 FROM generate_series(1, 70) n;
INSERT INTO visitor SELECT n, (ARRAY['Ines', 'Jon', 'Kari', 'Leo', 'Mia', 'Nils', 'Olga'])[1 + n % 7] || ' ' || (ARRAY['Vik', 'Dahl', 'Costa', 'Bell'])[1 + n % 4], 17 + n * 13 % 60, n % 4, (ARRAY['Oslo', 'Porto', 'York', 'Bergen'])[1 + n * n % 7 % 4] FROM generate_series(1, 45) n;
INSERT INTO visit SELECT n, 1 + n * n % 41, 1 + n * n % 17 % 6, date '2022-01-15' + n * 7, 8 + n * 29 % 140, 1 + n % 5 FROM generate_series(1, 150) n;
INSERT INTO visit SELECT 150 + n, 9, 4, date '2024-12-01' + n, 20 + n, 1 FROM generate_series(1, 14) n;
UPDATE artwork SET Artist_ID = 8 WHERE Artwork_ID < 40 AND Artwork_ID % 2 = 0;
INSERT INTO museum VALUES (8, 'Fjord Gallery', 'Oslo', 1999, 21, 88000);
ANALYZE;
