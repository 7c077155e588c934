-- Ordinary questions to the sample shop, one query a line, in as many of PostgreSQL's forms as people write.
-- Dates and times
SELECT count(*) FROM orders WHERE order_date >= CURRENT_DATE - INTERVAL '30 days'
SELECT count(*) FROM orders WHERE order_date >= CURRENT_DATE - 30
SELECT count(*) FROM orders WHERE order_date > now() - '6 months'::interval
SELECT count(*) FROM orders WHERE order_date BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
SELECT count(*) FROM orders WHERE order_date >= '2025-01-01' AND order_date < '2025-01-01'::date + INTERVAL '1 year'
SELECT count(*) FROM orders WHERE order_date >= date_trunc('month', CURRENT_DATE) - INTERVAL '1 month' AND order_date < date_trunc('month', CURRENT_DATE)
SELECT EXTRACT(YEAR FROM order_date) AS year, count(*) FROM orders GROUP BY 1 ORDER BY 1
SELECT extract(month from order_date)::int AS month, sum(total_amount) FROM orders GROUP BY month ORDER BY month
SELECT EXTRACT('dow' FROM order_date) AS weekday, count(*) FROM orders GROUP BY weekday ORDER BY weekday
SELECT EXTRACT(EPOCH FROM (TIMESTAMP '2025-06-01 12:00' - order_date)) / 86400 AS days FROM orders ORDER BY order_id LIMIT 5
SELECT EXTRACT(QUARTER FROM order_date) || 'Q' AS quarter, count(*) FROM orders GROUP BY quarter ORDER BY quarter
SELECT EXTRACT(WEEK FROM order_date) AS week, EXTRACT(ISOYEAR FROM order_date) AS iso_year, count(*) FROM orders GROUP BY week, iso_year ORDER BY 2, 1
SELECT EXTRACT(DAY FROM INTERVAL '3 days 4 hours')
SELECT EXTRACT(DAYS FROM AGE(DATE '2025-02-01', DATE '2025-01-01')), EXTRACT(years FROM AGE(DATE '2025-02-01', DATE '2020-01-01'))
SELECT date_part('year', order_date) AS y, date_part('month', order_date) AS m, count(*) FROM orders GROUP BY y, m ORDER BY y, m
SELECT DATE_PART('day', TIMESTAMP '2025-06-10' - TIMESTAMP '2025-06-01')
SELECT DATE_TRUNC('week', order_date)::date AS week, SUM(total_amount) AS revenue FROM orders GROUP BY DATE_TRUNC('week', order_date) ORDER BY week
SELECT date_trunc('quarter', order_date) AS quarter, avg(total_amount) FROM orders GROUP BY 1 ORDER BY 1
SELECT date_trunc('day', TIMESTAMPTZ '2025-06-10 23:30:00+02', 'Europe/Berlin')
SELECT AGE(DATE '2025-06-10', joined_on) AS membership FROM customers ORDER BY joined_on LIMIT 3
SELECT name, justify_interval(age(DATE '2026-01-01', joined_on)) FROM customers ORDER BY customer_id LIMIT 3
SELECT TO_CHAR(order_date, 'YYYY-MM') AS month, COUNT(*) FROM orders GROUP BY TO_CHAR(order_date, 'YYYY-MM') ORDER BY month
SELECT to_char(order_date, 'Day') AS weekday, to_char(order_date, 'FMMonth DD, YYYY') FROM orders ORDER BY order_id LIMIT 4
SELECT to_char(total_amount, 'FM999,999.00') || ' USD' AS price FROM orders ORDER BY order_id
SELECT TO_DATE('20250115', 'YYYYMMDD'), TO_TIMESTAMP('2025-01-15 10:00', 'YYYY-MM-DD HH24:MI'), to_timestamp(1736899200)
SELECT to_number('1,234.5', '9,999.9')
SELECT make_date(2025, 1, 31), make_time(8, 30, 0), make_timestamp(2025, 1, 31, 8, 30, 0), make_interval(days => 3, hours => 4)
SELECT order_date + 7 AS due, order_date - DATE '2025-01-01' AS days_in FROM orders ORDER BY order_id LIMIT 5
SELECT order_date + INTERVAL '1' MONTH AS next_month, order_date + INTERVAL '1 day 02:00:00' FROM orders ORDER BY order_id LIMIT 5
SELECT order_date + make_interval(months => 2) FROM orders ORDER BY order_id LIMIT 3
SELECT order_date + (quantity || ' days')::interval AS shipped FROM orders JOIN order_items USING (order_id) ORDER BY order_item_id LIMIT 3
SELECT order_date + quantity * INTERVAL '1 day' AS shipped FROM orders o JOIN order_items i ON i.order_id = o.order_id ORDER BY order_item_id LIMIT 3
SELECT (DATE '2025-03-01', DATE '2025-04-01') OVERLAPS (DATE '2025-03-15', DATE '2025-05-01')
SELECT order_date::timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' FROM orders ORDER BY order_id LIMIT 2
SELECT CAST(order_date AS timestamp with time zone) AT TIME ZONE 'Asia/Tokyo' FROM orders ORDER BY order_id LIMIT 2
SELECT order_date::timestamptz, '10:30'::time, TIME '10:30', '2025-01-01 10:00+00'::timestamp with time zone, CURRENT_TIMESTAMP > '2020-01-01', LOCALTIMESTAMP > '2020-01-01' FROM orders ORDER BY order_id LIMIT 1
SELECT date_bin('15 minutes', TIMESTAMP '2025-06-10 10:07', TIMESTAMP '2025-01-01')
SELECT (date_trunc('month', order_date) + INTERVAL '1 month - 1 day')::date AS month_end FROM orders GROUP BY 1 ORDER BY 1
SELECT month::date, count(order_id) FROM generate_series(DATE '2025-01-01', DATE '2025-12-01', INTERVAL '1 month') AS month LEFT JOIN orders ON date_trunc('month', order_date) = month GROUP BY month ORDER BY month
SELECT d::date AS day, coalesce(sum(o.total_amount), 0) FROM generate_series('2025-01-01'::date, '2025-01-31'::date, '1 day'::interval) d LEFT JOIN orders o ON o.order_date = d::date GROUP BY d ORDER BY d
SELECT g.day::date FROM (SELECT generate_series(min(order_date), max(order_date), INTERVAL '1 week') AS day FROM orders) g ORDER BY 1 LIMIT 20
SELECT CASE WHEN EXTRACT(HOUR FROM TIMESTAMP '2025-01-01 13:00') BETWEEN 6 AND 12 THEN 'morning' ELSE 'afternoon' END
SELECT EXTRACT(YEAR FROM AGE(CURRENT_DATE, joined_on)) >= 0 AS member FROM customers LIMIT 1
SELECT count(*) FROM customers WHERE EXTRACT(YEAR FROM joined_on) = 2024 AND EXTRACT(MONTH FROM joined_on) IN (1, 2, 3)
SELECT count(*) FROM orders WHERE date(order_date) = '2025-01-08'
SELECT isfinite(order_date), justify_days(INTERVAL '35 days'), justify_hours(INTERVAL '27 hours') FROM orders LIMIT 1
SELECT interval '1 year 2 months' - interval '3 days', - interval '1 day', 2 * interval '1 hour', interval '1 hour' / 2
SELECT avg(order_date - joined_on) AS mean_days, max(age(order_date, joined_on)) FROM orders JOIN customers USING (customer_id)
SELECT now()::date >= '2020-01-01', date 'today' >= date '2020-01-01', 'yesterday'::date < 'tomorrow'::date
SELECT timezone('UTC', '2025-01-01 00:00+02'::timestamptz)
SELECT EXTRACT(DOY FROM order_date), EXTRACT(CENTURY FROM order_date), EXTRACT(ISODOW FROM order_date) FROM orders ORDER BY order_id LIMIT 1
-- Text
SELECT name FROM customers WHERE name LIKE 'A%' ORDER BY name
SELECT name FROM customers WHERE name ILIKE '%son' AND name NOT LIKE 'B%' ORDER BY name
SELECT name FROM customers WHERE lower(name) LIKE lower('%AND%') ORDER BY 1
SELECT name FROM customers WHERE name ~ '^[A-C]' AND name !~ 'z$' ORDER BY name
SELECT name FROM customers WHERE name ~* 'ann|bau' AND name !~* '^q' ORDER BY name
SELECT name FROM products WHERE name SIMILAR TO '(Desk|Wall)%' ORDER BY name
SELECT name FROM products WHERE name NOT SIMILAR TO '%(a|e)%' ORDER BY name
SELECT name FROM products WHERE name LIKE '%\%%' OR name LIKE '%!_%' ESCAPE '!' ORDER BY name
SELECT name FROM customers WHERE name NOT ILIKE '%a%' ORDER BY name
SELECT upper(name), lower(name), initcap(lower(name)), length(name), char_length(name), octet_length(name) FROM customers ORDER BY customer_id LIMIT 3
SELECT split_part(name, ' ', 1) AS first_name, split_part(name, ' ', 2) AS last_name FROM customers ORDER BY customer_id LIMIT 5
SELECT substring(email from 1 for 3), substring(email from 4), substring(email, 2, 4), substr(email, 2), substring(email from '@(.*)$') FROM customers ORDER BY customer_id LIMIT 3
SELECT left(name, 1) || '.' AS initial, right(name, 3), reverse(name) FROM customers ORDER BY customer_id LIMIT 3
SELECT position('@' in email), strpos(email, '@') FROM customers ORDER BY customer_id LIMIT 3
SELECT trim(name), trim(both 'A' from name), trim(leading from name), ltrim(name, 'A'), rtrim(name), btrim(name, 'xy'), trim(trailing 'n' from name) FROM customers ORDER BY customer_id LIMIT 2
SELECT replace(name, ' ', '_'), translate(name, 'abc', 'xyz'), overlay(name placing 'X' from 1 for 1) FROM customers ORDER BY customer_id LIMIT 2
SELECT concat(name, ' <', email, '>'), concat_ws(', ', city, country), name || ', ' || city FROM customers ORDER BY customer_id LIMIT 2
SELECT lpad(order_id::text, 5, '0') AS number, rpad(status, 12, '.') FROM orders ORDER BY order_id LIMIT 3
SELECT repeat('*', 5) AS stars, format('%s has %s', name, segment) AS line FROM customers ORDER BY customer_id LIMIT 2
SELECT regexp_replace(email, '@.*$', ''), regexp_replace(name, '[aeiou]', '', 'g') FROM customers ORDER BY customer_id LIMIT 2
SELECT (regexp_match(email, '^([a-z]+)\.'))[1] AS first FROM customers ORDER BY customer_id LIMIT 2
SELECT (regexp_matches(name, '([A-Z])[a-z]+', 'g'))[1] AS initial FROM customers ORDER BY 1 LIMIT 5
SELECT regexp_split_to_array(name, '\s+') FROM customers ORDER BY customer_id LIMIT 2
SELECT word, count(*) FROM products, regexp_split_to_table(lower(name), '\s+') AS word GROUP BY word ORDER BY 2 DESC, 1 LIMIT 5
SELECT word, count(*) FROM products CROSS JOIN LATERAL unnest(string_to_array(name, ' ')) AS word GROUP BY word HAVING count(*) > 1 ORDER BY 2 DESC, 1
SELECT string_agg(name, ', ' ORDER BY name) FROM customers WHERE segment = 'Enterprise'
SELECT country, string_agg(DISTINCT city, '; ' ORDER BY city) AS cities FROM customers GROUP BY country ORDER BY country
SELECT ascii('A'), chr(65), md5(name), quote_literal('x') FROM customers ORDER BY customer_id LIMIT 1
SELECT starts_with(name, 'A') FROM customers ORDER BY customer_id LIMIT 2
SELECT encode(sha256(name::bytea), 'hex') FROM customers ORDER BY customer_id LIMIT 1
SELECT name COLLATE "C" FROM customers ORDER BY name COLLATE "C" LIMIT 3
SELECT count(*) FROM customers WHERE name < 'M' AND name >= 'B'
SELECT length(trim(name)) - length(replace(name, ' ', '')) AS spaces FROM customers ORDER BY customer_id LIMIT 2
SELECT to_hex(255), quote_ident('a b'), unaccented FROM (SELECT 'x' AS unaccented) q
SELECT regexp_count(name, 'a'), regexp_substr(name, '[A-Z]\w+'), regexp_like(name, '^A') FROM customers ORDER BY customer_id LIMIT 1
-- Numbers
SELECT random() < 2 FROM customers
SELECT round(avg(total_amount), 2), round(total_amount), ceil(avg(total_amount)), floor(avg(total_amount)), trunc(avg(total_amount), 1) FROM orders GROUP BY total_amount ORDER BY 1 LIMIT 2
SELECT abs(-5), sign(-2), mod(7, 3), 7 % 3, 7 / 2, 7 / 2.0, power(2, 10), 2 ^ 10, sqrt(16), cbrt(27), exp(1), ln(10), log(100), log(2, 8), pi(), 5 & 3, 5 | 3, 5 # 3, ~5, 1 << 4, 16 >> 2
SELECT degrees(pi()), radians(180), sin(0), cos(0), tan(0), asin(0), acos(1), atan(1), atan2(1, 1), sinh(0), cosh(0), tanh(0)
SELECT greatest(1, 2, 3), least(1, 2, 3), nullif(1, 1), coalesce(NULL, 1)
SELECT sum(total_amount) * 100.0 / (SELECT sum(total_amount) FROM orders) AS share FROM orders WHERE status = 'delivered'
SELECT status, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent FROM orders GROUP BY status ORDER BY status
SELECT count(*)::float / nullif(count(DISTINCT customer_id), 0) AS per_customer FROM orders
SELECT CAST(count(*) AS decimal(10, 2)) / 3, count(*)::numeric(10, 1), count(*)::double precision, count(*)::real, count(*)::bigint, count(*)::smallint FROM orders
SELECT width_bucket(total_amount, 0, 1000, 10) AS bucket, count(*) FROM orders GROUP BY bucket ORDER BY bucket
SELECT floor(total_amount / 100) * 100 AS low, count(*) FROM orders GROUP BY 1 ORDER BY 1
SELECT div(7, 2), gcd(12, 18), lcm(4, 6), scale(1.20), trim_scale(1.20), factorial(5), min_scale(1.20)
SELECT 1e3, 1.5, .5, 5.
SELECT -total_amount, +total_amount, - - 1 FROM orders ORDER BY order_id LIMIT 1
SELECT (total_amount * 1.19)::numeric(12, 2) AS gross FROM orders ORDER BY order_id LIMIT 2
SELECT 7 BETWEEN 1 AND 10, 7 NOT BETWEEN 1 AND 5, 7 BETWEEN SYMMETRIC 10 AND 1
SELECT stddev(total_amount), stddev_pop(total_amount), stddev_samp(total_amount), variance(total_amount), var_pop(total_amount), var_samp(total_amount) FROM orders
SELECT corr(quantity, unit_price), covar_pop(quantity, unit_price), covar_samp(quantity, unit_price), regr_slope(quantity, unit_price), regr_intercept(quantity, unit_price), regr_r2(quantity, unit_price), regr_count(quantity, unit_price), regr_avgx(quantity, unit_price), regr_sxx(quantity, unit_price) FROM order_items
SELECT to_char(0.256 * 100, '990.9') || '%'
-- Conditions and nulls
SELECT name FROM customers WHERE segment IN ('Premium', 'Basic') AND city NOT IN ('Paris', 'Lyon') ORDER BY name
SELECT name FROM customers WHERE (city, country) IN (('Paris', 'France'), ('Berlin', 'Germany')) ORDER BY name
SELECT name FROM customers WHERE segment = ANY ('{Premium,Basic}') ORDER BY name
SELECT name FROM customers WHERE segment = ANY (ARRAY['Premium', 'Basic']) AND customer_id <> ALL (ARRAY[1, 2]) ORDER BY name
SELECT name FROM products WHERE unit_price > ALL (SELECT unit_price FROM products WHERE category = 'Toys') ORDER BY name
SELECT name FROM products WHERE unit_price >= SOME (SELECT max(unit_price) FROM products GROUP BY category) ORDER BY name
SELECT name FROM customers WHERE name LIKE ANY (ARRAY['A%', 'B%']) ORDER BY name
SELECT name FROM customers WHERE name ILIKE ANY ('{a%,b%}'::text[]) ORDER BY name
SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.customer_id) ORDER BY name
SELECT name FROM customers c WHERE NOT EXISTS (SELECT * FROM orders WHERE orders.customer_id = c.customer_id AND status = 'delivered') ORDER BY name
SELECT name FROM customers WHERE customer_id NOT IN (SELECT customer_id FROM orders) ORDER BY name
SELECT count(*) FROM customers WHERE email IS NOT NULL AND NOT (city IS NULL) AND city NOTNULL AND NOT city ISNULL
SELECT count(*) FROM orders WHERE status IS DISTINCT FROM 'delivered' AND status IS NOT DISTINCT FROM 'pending'
SELECT count(*) FROM orders WHERE (status = 'pending') IS TRUE OR (status = 'shipped') IS NOT FALSE OR (status = 'x') IS UNKNOWN OR (status = 'x') IS NOT UNKNOWN
SELECT count(*) FROM orders WHERE status != 'cancelled' AND status <> 'pending' AND NOT status = 'x'
SELECT coalesce(sum(total_amount), 0) FROM orders WHERE status = 'unheard of'
SELECT CASE status WHEN 'delivered' THEN 'done' WHEN 'cancelled' THEN 'done' ELSE 'open' END AS phase, count(*) FROM orders GROUP BY phase ORDER BY phase
SELECT sum(CASE WHEN status = 'cancelled' THEN 1 ELSE 0 END) AS cancelled, sum((status = 'delivered')::int) AS delivered FROM orders
SELECT CASE WHEN total_amount < 100 THEN 'small' WHEN total_amount < 500 THEN 'medium' ELSE 'large' END AS size, count(*) FROM orders GROUP BY 1 ORDER BY min(total_amount)
SELECT count(*) FROM orders WHERE (order_date, order_id) > ('2025-06-01', 10)
SELECT count(*) FROM orders WHERE ROW(status, customer_id) = ROW('delivered', 1)
SELECT true AND false, true OR NULL, NOT true, 't'::bool, 'yes'::boolean, 1::boolean
SELECT num_nulls(1, NULL), num_nonnulls(1, NULL)
-- Aggregates
SELECT count(*), count(status), count(DISTINCT status), count(DISTINCT (customer_id, status)), min(order_date), max(order_date), sum(total_amount), avg(total_amount) FROM orders
SELECT count(*) FILTER (WHERE status = 'delivered') AS delivered, avg(total_amount) FILTER (WHERE status <> 'cancelled') FROM orders
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total_amount) AS median, percentile_disc(0.9) WITHIN GROUP (ORDER BY total_amount DESC), mode() WITHIN GROUP (ORDER BY status) FROM orders
SELECT percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY total_amount) FROM orders
SELECT status, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY total_amount) FILTER (WHERE order_id > 5) FROM orders GROUP BY status ORDER BY status
SELECT rank(100) WITHIN GROUP (ORDER BY total_amount), cume_dist(100) WITHIN GROUP (ORDER BY total_amount) FROM orders
SELECT bool_and(total_amount > 0), bool_or(status = 'pending'), every(total_amount >= 0), bit_and(order_id), bit_or(order_id), bit_xor(order_id) FROM orders
SELECT array_agg(order_id ORDER BY order_id) FROM orders WHERE status = 'pending'
SELECT array_agg(DISTINCT status ORDER BY status DESC) FROM orders
SELECT (array_agg(name ORDER BY unit_price DESC))[1] AS dearest, (array_agg(name ORDER BY unit_price))[1:2] FROM products
SELECT category, count(*) FROM products GROUP BY category HAVING count(*) >= 20 AND avg(unit_price) > 50 ORDER BY count(*) DESC, category
SELECT status, customer_id, count(*) FROM orders GROUP BY ROLLUP (status, customer_id) ORDER BY status NULLS LAST, customer_id NULLS LAST
SELECT status, count(*), grouping(status) FROM orders GROUP BY CUBE (status) ORDER BY 3, 1
SELECT segment, country, count(*) FROM customers GROUP BY GROUPING SETS ((segment), (country), (segment, country), ()) ORDER BY 1, 2, 3
SELECT segment, country, city, count(*) FROM customers GROUP BY segment, ROLLUP (country, city) ORDER BY 1, 2 NULLS LAST, 3 NULLS LAST
SELECT count(*) FROM orders HAVING count(*) > 10
SELECT customer_id, name, count(order_id) FROM customers LEFT JOIN orders USING (customer_id) GROUP BY customers.customer_id, name ORDER BY 3 DESC, 1 LIMIT 5
SELECT c.name, max(o.order_date) FROM customers c JOIN orders o ON o.customer_id = c.customer_id GROUP BY c.customer_id ORDER BY c.customer_id
SELECT DISTINCT segment FROM customers ORDER BY segment
SELECT DISTINCT ON (customer_id) customer_id, order_id, order_date FROM orders ORDER BY customer_id, order_date DESC, order_id
SELECT DISTINCT segment, country FROM customers ORDER BY 1, 2 LIMIT 5 OFFSET 2
SELECT count(DISTINCT CASE WHEN status = 'delivered' THEN customer_id END) FROM orders
SELECT max(name), min(email), any_value(segment) IS NOT NULL FROM customers
SELECT (SELECT count(*) FROM customers) AS customers, (SELECT count(*) FROM orders) AS orders
SELECT avg(n) FROM (SELECT count(*) AS n FROM orders GROUP BY customer_id) AS per_customer
SELECT json_agg(name ORDER BY name) FROM customers WHERE segment = 'Enterprise'
SELECT jsonb_object_agg(status, n) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s
SELECT range_agg(daterange(order_date, order_date + 1)) IS NOT NULL FROM orders
-- Window functions
SELECT order_id, row_number() OVER (ORDER BY total_amount DESC, order_id) AS place FROM orders ORDER BY place LIMIT 5
SELECT name, rank() OVER (PARTITION BY category ORDER BY unit_price DESC), dense_rank() OVER (PARTITION BY category ORDER BY unit_price DESC), percent_rank() OVER (ORDER BY unit_price), cume_dist() OVER (ORDER BY unit_price), ntile(4) OVER (ORDER BY unit_price) FROM products ORDER BY product_id LIMIT 10
SELECT order_date, total_amount - lag(total_amount) OVER (ORDER BY order_date, order_id) AS change, lead(order_date, 1, order_date) OVER (ORDER BY order_date, order_id) FROM orders ORDER BY order_id
SELECT month, revenue, lag(revenue) OVER w AS before, round(100 * (revenue - lag(revenue) OVER w) / nullif(lag(revenue) OVER w, 0), 1) AS growth FROM (SELECT date_trunc('month', order_date) AS month, sum(total_amount) AS revenue FROM orders GROUP BY 1) m WINDOW w AS (ORDER BY month) ORDER BY month
SELECT order_id, sum(total_amount) OVER (ORDER BY order_date, order_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM orders ORDER BY order_id
SELECT order_id, avg(total_amount) OVER (ORDER BY order_date, order_id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM orders ORDER BY order_id
SELECT order_id, sum(total_amount) OVER (ORDER BY order_date RANGE BETWEEN INTERVAL '30 days' PRECEDING AND INTERVAL '1 day' FOLLOWING) FROM orders ORDER BY order_id
SELECT order_id, sum(total_amount) OVER (ORDER BY order_date, order_id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM orders ORDER BY order_id
SELECT order_id, count(*) OVER (ORDER BY order_date GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM orders ORDER BY order_id
SELECT category, name, first_value(name) OVER w, last_value(name) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), nth_value(name, 2) OVER w FROM products WINDOW w AS (PARTITION BY category ORDER BY unit_price DESC, product_id) ORDER BY product_id LIMIT 5
SELECT count(*) OVER () AS total, order_id FROM orders ORDER BY order_id LIMIT 3
SELECT name FROM (SELECT name, row_number() OVER (PARTITION BY category ORDER BY unit_price DESC) AS rn FROM products) ranked WHERE rn <= 3 ORDER BY name
SELECT country, count(*), rank() OVER (ORDER BY count(*) DESC) FROM customers GROUP BY country ORDER BY 3, 1
SELECT sum(total_amount) FILTER (WHERE status = 'delivered') OVER (PARTITION BY customer_id) FROM orders ORDER BY order_id
-- Joins
SELECT c.name, o.order_id FROM customers c INNER JOIN orders o ON c.customer_id = o.customer_id ORDER BY o.order_id LIMIT 5
SELECT c.name, o.order_id FROM customers AS c LEFT OUTER JOIN orders AS o ON c.customer_id = o.customer_id WHERE o.order_id IS NULL ORDER BY 1
SELECT p.name, i.quantity FROM order_items i RIGHT JOIN products p ON p.product_id = i.product_id ORDER BY p.product_id, i.order_item_id LIMIT 5
SELECT count(*) FROM customers c FULL OUTER JOIN orders o ON c.customer_id = o.customer_id
SELECT count(*) FROM customers CROSS JOIN (VALUES (1), (2)) AS v(n)
SELECT count(*) FROM customers NATURAL JOIN orders
SELECT customer_id, count(*) FROM customers JOIN orders USING (customer_id) GROUP BY customer_id ORDER BY 2 DESC, 1 LIMIT 3
SELECT a.name, b.name FROM customers a JOIN customers b ON a.city = b.city AND a.customer_id < b.customer_id ORDER BY 1, 2 LIMIT 5
SELECT c.name, p.category, sum(i.quantity * i.unit_price) AS spent FROM customers c JOIN orders o ON o.customer_id = c.customer_id JOIN order_items i ON i.order_id = o.order_id JOIN products p ON p.product_id = i.product_id GROUP BY c.name, p.category ORDER BY spent DESC, 1, 2 LIMIT 10
SELECT c.name, o.* FROM customers c, orders o WHERE c.customer_id = o.customer_id ORDER BY o.order_id LIMIT 3
SELECT c.*, latest.order_date FROM customers c CROSS JOIN LATERAL (SELECT order_date FROM orders o WHERE o.customer_id = c.customer_id ORDER BY order_date DESC LIMIT 1) latest ORDER BY c.customer_id LIMIT 3
SELECT c.name, t.n FROM customers c LEFT JOIN LATERAL (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.customer_id) t ON true ORDER BY c.customer_id LIMIT 3
SELECT name FROM customers c JOIN (SELECT customer_id FROM orders GROUP BY customer_id HAVING count(*) > 1) busy ON busy.customer_id = c.customer_id ORDER BY name
SELECT count(*) FROM (customers c JOIN orders o USING (customer_id)) JOIN order_items i USING (order_id)
SELECT count(*) FROM customers c LEFT JOIN (orders o JOIN order_items i ON i.order_id = o.order_id) ON o.customer_id = c.customer_id
SELECT public.customers.name FROM public.customers JOIN public.orders ON public.orders.customer_id = public.customers.customer_id ORDER BY 1 LIMIT 2
SELECT c."name" AS "Customer Name" FROM "customers" c ORDER BY "Customer Name" LIMIT 2
SELECT x.* FROM (customers JOIN orders USING (customer_id)) AS x ORDER BY x.order_id LIMIT 2
SELECT count(*) FROM orders o JOIN customers c ON c.customer_id = o.customer_id AND c.segment = 'Premium' AND o.order_date > c.joined_on
-- Subqueries and WITH
SELECT name FROM products WHERE unit_price > (SELECT avg(unit_price) FROM products) ORDER BY name
SELECT name FROM products p WHERE unit_price = (SELECT max(unit_price) FROM products q WHERE q.category = p.category) ORDER BY name
SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id) AS n FROM customers c ORDER BY n DESC, name LIMIT 5
WITH spent AS (SELECT customer_id, sum(total_amount) AS total FROM orders GROUP BY customer_id) SELECT c.name, spent.total FROM spent JOIN customers c USING (customer_id) ORDER BY total DESC, name LIMIT 3
WITH a AS (SELECT 1 AS x), b (y) AS (SELECT x + 1 FROM a) SELECT x, y FROM a, b
WITH monthly AS (SELECT date_trunc('month', order_date) AS month, sum(total_amount) AS revenue FROM orders GROUP BY 1), best AS (SELECT max(revenue) AS revenue FROM monthly) SELECT month FROM monthly WHERE revenue = (SELECT revenue FROM best)
WITH RECURSIVE months AS (SELECT DATE '2025-01-01' AS month UNION ALL SELECT (month + INTERVAL '1 month')::date FROM months WHERE month < DATE '2025-06-01') SELECT month FROM months ORDER BY month
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT sum(i) FROM n
WITH RECURSIVE chain AS (SELECT customer_id, name, name::text AS path, 1 AS depth FROM customers WHERE customer_id = 1 UNION ALL SELECT c.customer_id, c.name, chain.path || ' > ' || c.name, depth + 1 FROM customers c JOIN chain ON c.customer_id = chain.customer_id * 2) SELECT path, depth FROM chain ORDER BY depth
WITH RECURSIVE fib(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM fib WHERE b < 100) SELECT a FROM fib ORDER BY a
WITH x AS MATERIALIZED (SELECT * FROM customers), y AS NOT MATERIALIZED (SELECT * FROM orders) SELECT count(*) FROM x JOIN y USING (customer_id)
WITH t(a, b) AS (VALUES (1, 'x'), (2, 'y')) SELECT a, b FROM t ORDER BY a
SELECT * FROM (VALUES ('Premium', 1), ('Basic', 2)) AS t (segment, place) ORDER BY place
SELECT q.n FROM (WITH inner_query AS (SELECT count(*) AS n FROM orders) SELECT n FROM inner_query) q
SELECT ARRAY(SELECT name FROM customers ORDER BY name LIMIT 3) AS first_three
SELECT name FROM customers WHERE (SELECT count(*) FROM orders WHERE orders.customer_id = customers.customer_id) > 1 ORDER BY name
SELECT (SELECT max(total_amount) FROM orders) - (SELECT min(total_amount) FROM orders) AS spread
TABLE orders
-- Set operations
SELECT city FROM customers UNION SELECT country FROM customers ORDER BY city
SELECT city FROM customers UNION ALL SELECT country FROM customers ORDER BY 1 LIMIT 5
SELECT customer_id FROM customers EXCEPT SELECT customer_id FROM orders ORDER BY customer_id
SELECT customer_id FROM customers INTERSECT SELECT customer_id FROM orders ORDER BY customer_id
SELECT customer_id FROM orders INTERSECT ALL SELECT customer_id FROM customers ORDER BY 1
SELECT customer_id FROM orders EXCEPT ALL SELECT customer_id FROM customers ORDER BY 1
(SELECT name FROM products ORDER BY unit_price DESC, name LIMIT 1) UNION ALL (SELECT name FROM products ORDER BY unit_price, name LIMIT 1)
(SELECT name FROM products EXCEPT SELECT name FROM customers) INTERSECT SELECT name FROM products ORDER BY name LIMIT 3
SELECT 'customers' AS what, count(*) FROM customers UNION SELECT 'orders', count(*) FROM orders ORDER BY what
SELECT count(*) FROM (SELECT customer_id FROM orders WHERE status = 'delivered' INTERSECT SELECT customer_id FROM orders WHERE status = 'pending') AS both_states
SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 EXCEPT SELECT 2 ORDER BY n
-- Order and limit
SELECT name FROM products ORDER BY unit_price DESC NULLS LAST, name ASC LIMIT 3
SELECT name FROM products ORDER BY unit_price ASC NULLS FIRST, 1 OFFSET 5 LIMIT 3
SELECT name FROM products ORDER BY lower(name) OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY
SELECT name FROM products ORDER BY name FETCH FIRST ROW ONLY
SELECT name FROM products ORDER BY name FETCH FIRST 3 ROWS ONLY
SELECT name, unit_price * stock_quantity AS worth FROM products ORDER BY worth DESC, name LIMIT 3
SELECT category, avg(unit_price) FROM products GROUP BY category ORDER BY avg(unit_price) DESC LIMIT 1
SELECT name FROM products ORDER BY CASE WHEN category = 'Books' THEN 0 ELSE 1 END, name LIMIT 3
SELECT name FROM products ORDER BY 1 LIMIT ALL OFFSET 190
SELECT name FROM customers LIMIT NULL
-- Arrays
SELECT unnest(ARRAY[1, 2, 3]) AS n
SELECT u.n, u.place FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u(n, place) ORDER BY place
SELECT a.x, b.y FROM unnest(ARRAY[1, 2], ARRAY['p', 'q']) AS a(x, y), unnest('{1,2}'::int[]) AS b(y) ORDER BY 1, 2
SELECT array_length(ARRAY[1, 2], 1), cardinality(ARRAY[1, 2]), array_to_string(ARRAY['a', 'b'], ','), string_to_array('a,b', ','), array_position(ARRAY['a', 'b'], 'b'), array_remove(ARRAY[1, 2], 1), array_append(ARRAY[1], 2), array_cat(ARRAY[1], ARRAY[2]), ARRAY[1] || ARRAY[2], ARRAY[1] || 2, array_upper(ARRAY[1, 2], 1)
SELECT ARRAY[1, 2] @> ARRAY[1], ARRAY[1] <@ ARRAY[1, 2], ARRAY[1, 2] && ARRAY[2, 3], 1 = ANY (ARRAY[1, 2]), (ARRAY['a', 'b'])[2], (ARRAY[1, 2, 3])[1:2], ARRAY[[1, 2], [3, 4]]
SELECT '{1,2}'::int[], ARRAY[]::text[], NULL::date[], CAST(ARRAY['1'] AS integer[])
SELECT i, (ARRAY['a', 'b', 'c'])[i] FROM generate_series(1, 3) AS i ORDER BY i
SELECT i FROM generate_subscripts(ARRAY[10, 20], 1) AS i ORDER BY i
SELECT generate_series(1, 5) AS n, generate_series(0, 20, 10) AS m
SELECT n FROM generate_series(10, 1, -3) n
SELECT array_agg(DISTINCT c.segment) FILTER (WHERE c.country = 'France') FROM customers c
-- JSON
SELECT '{"a": {"b": [1, 2]}}'::jsonb -> 'a' -> 'b' ->> 0, '{"a": 1}'::json ->> 'a', '{"a": {"b": 2}}'::jsonb #> '{a,b}', '{"a": {"b": 2}}'::jsonb #>> '{a,b}'
SELECT ('{"a": 5}'::jsonb ->> 'a')::int + 1, '{"a": 1}'::jsonb @> '{"a": 1}', '{"a": 1}'::jsonb ? 'a', '{"a": 1}'::jsonb ?| ARRAY['a', 'b'], '{"a": 1}'::jsonb ?& ARRAY['a'], '{"a": 1}'::jsonb || '{"b": 2}', '{"a": 1, "b": 2}'::jsonb - 'a'
SELECT e.key, e.value FROM jsonb_each('{"a": 1, "b": 2}'::jsonb) AS e ORDER BY e.key
SELECT key, value FROM json_each_text('{"a": 1, "b": 2}') ORDER BY key
SELECT value ->> 'x' FROM jsonb_array_elements('[{"x": 1}, {"x": 2}]'::jsonb)
SELECT e ->> 'x' AS x FROM jsonb_array_elements('[{"x": 1}, {"x": 2}]'::jsonb) AS e ORDER BY 1
SELECT jsonb_array_length('[1, 2]'), jsonb_typeof('1'), json_build_object('name', name, 'city', city), jsonb_build_array(1, 'x'), to_jsonb(name), json_object_keys('{"k": 1}') FROM customers ORDER BY customer_id LIMIT 1
SELECT jsonb_extract_path_text('{"a": {"b": "c"}}', 'a', 'b'), jsonb_set('{"a": 1}', '{a}', '2'), jsonb_strip_nulls('{"a": null}'), jsonb_path_query_first('{"a": [1, 2]}', '$.a[*]'), jsonb_path_exists('{"a": 1}', '$.a')
SELECT t.tag FROM (SELECT '["x", "y"]'::jsonb AS tags) d, jsonb_array_elements_text(d.tags) AS t(tag) ORDER BY 1
-- Types, names and odd corners
SELECT name::varchar(5), name::char(3), name::varchar, CAST(name AS character varying(4)) FROM customers ORDER BY customer_id LIMIT 1
SELECT '12'::int, '1.5'::numeric, CAST('2025-01-01' AS date), '6e8bc430-9c3a-11d9-9669-0800200c9a66'::uuid, '10.00'::money, '192.168.0.1'::inet, 'a'::text, '\x00'::bytea, '1 day'::interval, '{"a": 1}'::json, '[1,5)'::int4range
SELECT int '5', text 'x', float8 '1.5', numeric '2.5', bool 'true', timestamp '2025-01-01 10:00'
SELECT int4range(1, 5) @> 3, int4range(1, 5) && int4range(4, 8), lower(int4range(1, 5)), upper(daterange('2025-01-01', '2025-02-01')), daterange('2025-01-01', '2025-02-01') @> DATE '2025-01-15'
SELECT name AS value, city AS year, country AS "order", segment AS "Group" FROM customers ORDER BY value LIMIT 1
SELECT name value, city text, country AS date FROM customers ORDER BY 1 LIMIT 1
SELECT count(*) AS count, sum(total_amount) AS sum, max(order_date) AS "max" FROM orders
SELECT n.count FROM (SELECT count(*) FROM orders) AS n
SELECT customers.name FROM customers ORDER BY customers.name LIMIT 1
select NAME from CUSTOMERS order by NAME limit 1
SELECT c.name FROM customers AS c(id, name, mail) ORDER BY c.name LIMIT 1
SELECT * FROM customers ORDER BY customer_id LIMIT 2
SELECT customers.*, orders.order_id FROM customers JOIN orders USING (customer_id) ORDER BY orders.order_id LIMIT 2
SELECT * FROM customers JOIN orders USING (customer_id) ORDER BY order_id LIMIT 2
SELECT * FROM customers NATURAL JOIN orders ORDER BY order_id LIMIT 2
SELECT * FROM orders o, order_items i WHERE o.order_id = i.order_id ORDER BY i.order_item_id LIMIT 2
SELECT count(o.*), count(o.order_id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id
SELECT 1 WHERE 1 = 1;
SELECT name FROM customers WHERE TRUE AND 1 = 1 ORDER BY customer_id LIMIT 1
SELECT 'a' || NULL IS NULL, 1 + NULL IS NULL, NULL = NULL, NULL
SELECT round((sum(CASE WHEN status = 'cancelled' THEN 1.0 ELSE 0 END) / count(*) * 100)::numeric, 2) AS cancel_rate FROM orders
SELECT EXTRACT(YEAR FROM o.order_date)::text || '-' || LPAD(EXTRACT(MONTH FROM o.order_date)::text, 2, '0') AS ym, COUNT(DISTINCT o.customer_id) FROM orders o GROUP BY ym ORDER BY ym
