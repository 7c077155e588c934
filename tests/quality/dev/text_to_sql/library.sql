-- A town library: snake_case names, few comments, a bridge between books and authors, dates fixed.
CREATE TABLE author (author_id int PRIMARY KEY, full_name text NOT NULL, birth_year int, nationality text);
CREATE TABLE book (
    book_id int PRIMARY KEY, title text NOT NULL, genre text NOT NULL, publication_year int, page_count int,
    price numeric(8, 2), language text
);
CREATE TABLE book_author (book_id int REFERENCES book, author_id int REFERENCES author, PRIMARY KEY (book_id, author_id));
CREATE TABLE branch (branch_id int PRIMARY KEY, branch_name text, city text, opened_on date, floor_area int);
CREATE TABLE member (
    member_id int PRIMARY KEY, first_name text, last_name text, age int, city text, joined_on date, is_active boolean, email text
);
CREATE TABLE loan (
    loan_id int PRIMARY KEY, book_id int REFERENCES book, member_id int REFERENCES member, branch_id int REFERENCES branch,
    loan_date date, due_date date, return_date date, fine numeric(6, 2)
);
COMMENT ON COLUMN loan.fine IS 'Money the member paid for returning late.';

INSERT INTO author VALUES
 (1, 'Ada Brook', 1951, 'British'), (2, 'Bruno Costa', 1963, 'Italian'), (3, 'Celia Dorn', 1978, 'German'), (4, 'Dai Evans', 1940, 'British'),
 (5, 'Elif Faruk', 1985, 'Turkish'), (6, 'Franz Gruber', 1932, 'German'), (7, 'Gita Hari', 1990, 'Indian');
INSERT INTO book VALUES
 (1, 'Silent Rivers', 'Fiction', 1999, 320, 12.50, 'English'), (2, 'The Iron Garden', 'Fiction', 2005, 410, 15.00, 'English'),
 (3, 'Stars and Salt', 'Science', 2012, 250, 22.90, 'English'), (4, 'Die stille Stadt', 'Fiction', 1988, 198, 9.90, 'German'),
 (5, 'Pasta and Memory', 'Cooking', 2016, 144, 30.00, 'Italian'), (6, 'Numbers at Night', 'Science', 2019, 512, 45.50, 'English'),
 (7, 'A Short History of Bridges', 'History', 2001, 377, 18.75, 'English'), (8, 'Monsoon Letters', 'Poetry', 2020, 96, 11.20, 'English'),
 (9, 'Empires of Dust', 'History', 2014, 640, 27.00, 'English'), (10, 'Kitchen Chemistry', 'Cooking', 2021, 210, 24.00, 'English');
INSERT INTO book_author VALUES (1, 1), (2, 1), (2, 4), (3, 3), (4, 6), (5, 2), (6, 3), (7, 4), (8, 7), (9, 4), (9, 1), (10, 3), (10, 2);
INSERT INTO branch VALUES (1, 'Central', 'Leeds', '1975-04-01', 2400), (2, 'Harbour', 'Hull', '1990-09-15', 900), (3, 'Hillside', 'Leeds', '2008-02-20', 650), (4, 'Meadow', 'York', '2015-06-30', 1200);
INSERT INTO member VALUES
 (1, 'Tom', 'Reed', 34, 'Leeds', '2018-03-10', true, 'tom@example.org'), (2, 'Una', 'Stone', 61, 'Hull', '2016-07-21', true, NULL),
 (3, 'Viktor', 'Till', 19, 'Leeds', '2022-01-05', true, 'viktor@example.org'), (4, 'Wanda', 'Ural', 45, 'York', '2019-11-30', false, 'wanda@example.org'),
 (5, 'Xaver', 'Voss', 27, 'York', '2021-05-17', true, 'xaver@example.org'), (6, 'Yara', 'West', 72, 'Leeds', '2015-02-02', false, NULL),
 (7, 'Zoe', 'Young', 23, 'Hull', '2023-08-14', true, 'zoe@example.org'), (8, 'Abel', 'Zorn', 38, 'Leeds', '2020-10-09', true, 'abel@example.org');
INSERT INTO loan VALUES
 (1, 1, 1, 1, '2022-01-10', '2022-01-31', '2022-01-28', 0), (2, 3, 1, 1, '2022-02-14', '2022-03-07', '2022-03-10', 1.50), (3, 6, 1, 3, '2022-06-01', '2022-06-22', '2022-06-20', 0),
 (4, 2, 2, 2, '2022-03-03', '2022-03-24', '2022-04-02', 4.50), (5, 9, 2, 2, '2022-09-09', '2022-09-30', '2022-09-30', 0), (6, 1, 3, 1, '2022-10-11', '2022-11-01', NULL, 0),
 (7, 6, 3, 1, '2023-01-20', '2023-02-10', '2023-02-08', 0), (8, 8, 5, 4, '2023-02-02', '2023-02-23', '2023-03-05', 5.00), (9, 6, 5, 4, '2023-03-15', '2023-04-05', '2023-04-01', 0),
 (10, 10, 7, 2, '2023-09-01', '2023-09-22', NULL, 0), (11, 5, 8, 1, '2023-05-05', '2023-05-26', '2023-06-20', 12.50), (12, 2, 8, 3, '2023-07-19', '2023-08-09', '2023-08-09', 0),
 (13, 3, 8, 3, '2023-10-10', '2023-10-31', '2023-11-02', 1.00), (14, 9, 1, 1, '2023-11-23', '2023-12-14', NULL, 0), (15, 7, 2, 2, '2023-12-01', '2023-12-22', '2023-12-20', 0);
ANALYZE;
