-- An online store with lookup tables: states by number, prices in two places, returns, stock by warehouse.
CREATE TABLE category (id int PRIMARY KEY, name text NOT NULL, parent_id int REFERENCES category);
CREATE TABLE brand (id int PRIMARY KEY, name text NOT NULL, country text NOT NULL);
CREATE TABLE product (id int PRIMARY KEY, sku text NOT NULL, title text NOT NULL, category_id int NOT NULL REFERENCES category, brand_id int NOT NULL REFERENCES brand, list_price numeric(8, 2) NOT NULL, weight_g int, launched_on date NOT NULL, discontinued boolean NOT NULL);
CREATE TABLE client (id int PRIMARY KEY, email text NOT NULL, first_name text NOT NULL, last_name text NOT NULL, city text NOT NULL, country text NOT NULL, newsletter boolean NOT NULL, registered_at timestamp NOT NULL);
CREATE TABLE purchase (id int PRIMARY KEY, client_id int NOT NULL REFERENCES client, placed_at timestamp NOT NULL, status text NOT NULL, payment_method text NOT NULL, shipping_cost numeric(7, 2) NOT NULL, voucher_code text);
CREATE TABLE purchase_line (id int PRIMARY KEY, purchase_id int NOT NULL REFERENCES purchase, product_id int NOT NULL REFERENCES product, quantity int NOT NULL, unit_price numeric(8, 2) NOT NULL);
CREATE TABLE refund (id int PRIMARY KEY, purchase_line_id int NOT NULL REFERENCES purchase_line, refunded_at timestamp NOT NULL, reason text NOT NULL, amount numeric(8, 2) NOT NULL);
CREATE TABLE warehouse (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
CREATE TABLE stock (warehouse_id int NOT NULL REFERENCES warehouse, product_id int NOT NULL REFERENCES product, on_hand int NOT NULL, PRIMARY KEY (warehouse_id, product_id));
CREATE TABLE rating (id int PRIMARY KEY, product_id int NOT NULL REFERENCES product, client_id int NOT NULL REFERENCES client, stars int NOT NULL, given_on date NOT NULL);

INSERT INTO category VALUES (1, 'Audio', NULL), (2, 'Headphones', 1), (3, 'Speakers', 1), (4, 'Kitchen', NULL), (5, 'Kettles', 4), (6, 'Toasters', 4), (7, 'Garden', NULL), (8, 'Gift Cards', NULL);
INSERT INTO brand VALUES (1, 'Sonora', 'Denmark'), (2, 'Brevo', 'Italy'), (3, 'Halden', 'Germany'), (4, 'Kiru', 'Japan'), (5, 'Oakway', 'Canada');
INSERT INTO product SELECT n, 'SKU-' || 1000 + n, (ARRAY['Nova', 'Pulse', 'Vento', 'Terra', 'Lumen', 'Orbit'])[1 + n % 6] || ' ' || (ARRAY['One', 'Max', 'Mini', 'Plus', 'Lite'])[1 + n % 5] || CASE WHEN n > 30 THEN ' ' || n ELSE '' END, (ARRAY[2, 3, 5, 6, 7])[1 + n * n % 13 % 5], 1 + n * n % 11 % 4, 15 + n * 47 % 310, CASE WHEN n % 6 <> 0 THEN 200 + n * 83 % 2900 END, date '2022-02-01' + n * 19, n % 9 = 0 FROM generate_series(1, 64) n;
INSERT INTO client SELECT n, 'user' || n || '@' || (ARRAY['webmail.dk', 'post.de', 'inbox.it'])[1 + n % 3], (ARRAY['Asta', 'Bo', 'Carla', 'Dirk', 'Eva', 'Finn', 'Gina', 'Hans'])[1 + n % 8], (ARRAY['Lund', 'Berg', 'Conti', 'Vogel', 'Winter', 'Holm', 'Greco'])[1 + n % 7] || CASE WHEN n > 56 THEN ' ' || n ELSE '' END, (ARRAY['Aarhus', 'Bremen', 'Torino', 'Odense', 'Kiel'])[1 + n * n % 17 % 5], (ARRAY['Denmark', 'Germany', 'Italy', 'Denmark', 'Germany'])[1 + n * n % 17 % 5], n % 3 = 0, timestamp '2023-01-03 10:00' + n * interval '9 days' FROM generate_series(1, 110) n;
INSERT INTO purchase SELECT n, 1 + n * n % 101, timestamp '2024-01-02 09:30' + n * interval '41 hours', CASE WHEN n % 9 = 0 THEN 'cancelled' WHEN n % 14 = 0 THEN 'returned' WHEN n % 25 = 0 THEN 'pending' ELSE 'delivered' END, (ARRAY['card', 'invoice', 'wallet'])[1 + n * n % 7 % 3], CASE WHEN n % 4 = 0 THEN 0 ELSE 3.5 + n % 6 END, CASE WHEN n % 5 = 0 THEN 'SAVE' || n % 3 * 5 END FROM generate_series(1, 480) n;
INSERT INTO purchase_line SELECT n, 1 + n * 7 % 479, 1 + n * n % 61, 1 + n * 3 % 4, 12 + n * 47 % 290 FROM generate_series(1, 1150) n;
INSERT INTO refund SELECT n, n * 9, timestamp '2024-02-01 12:00' + n * interval '7 days', (ARRAY['damaged', 'too late', 'wrong item', 'changed mind'])[1 + n * n % 5 % 4], 10 + n * 13 % 120 FROM generate_series(1, 90) n;
INSERT INTO warehouse VALUES (1, 'North Hub', 'Aarhus'), (2, 'South Hub', 'Torino'), (3, 'Central Hub', 'Bremen'), (4, 'Overflow', 'Kiel');
INSERT INTO stock SELECT w, p, CASE WHEN (w + p) % 11 = 0 THEN 0 ELSE p * 17 % 90 + w END FROM generate_series(1, 3) w, generate_series(1, 64) p WHERE (w * p) % 5 <> 0;
INSERT INTO rating SELECT n, 1 + n * n % 59, 1 + n * 3 % 107, 1 + n * n % 23 % 5, date '2024-02-01' + n * 2 FROM generate_series(1, 300) n;
ANALYZE;
