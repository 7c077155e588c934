-- Staff and pay: abbreviated names, upper bounds of pay grades, no declared keys at all, plain text flags.
CREATE TABLE emp (emp_no int, fname text, lname text, gndr char(1), hire_dt date, term_dt date, dept_cd text, job_cd text, mgr_emp_no int, sal_amt numeric(10, 2), loc_cd text, email_addr text);
CREATE TABLE dept (dept_cd text, dept_nm text, cost_ctr text, bdgt_amt numeric(12, 2), head_emp_no int);
CREATE TABLE job (job_cd text, job_ttl text, grd int, min_sal numeric(10, 2), max_sal numeric(10, 2));
CREATE TABLE loc (loc_cd text, city text, ctry text, region text);
CREATE TABLE pay_slip (slip_no int, emp_no int, pay_dt date, gross_amt numeric(10, 2), tax_amt numeric(10, 2), net_amt numeric(10, 2));
CREATE TABLE lv_req (req_no int, emp_no int, lv_typ text, start_dt date, end_dt date, days int, stat text);
CREATE TABLE trng (trng_cd text, trng_nm text, vendor_nm text, cost_amt numeric(8, 2), hrs int);
CREATE TABLE emp_trng (emp_no int, trng_cd text, cmpl_dt date, score int);

INSERT INTO loc VALUES ('LIS', 'Lisbon', 'Portugal', 'South'), ('OPO', 'Porto', 'Portugal', 'South'), ('MAD', 'Madrid', 'Spain', 'South'), ('DUB', 'Dublin', 'Ireland', 'North'), ('TAL', 'Tallinn', 'Estonia', 'North');
INSERT INTO dept VALUES ('FIN', 'Finance', 'C100', 820000, 1), ('ENG', 'Engineering', 'C200', 2400000, 2), ('SUP', 'Customer Support', 'C300', 640000, 3), ('LEG', 'Legal', 'C400', 310000, 4), ('MKT', 'Marketing', 'C500', 550000, NULL), ('RND', 'Research', 'C600', 900000, 5);
INSERT INTO job VALUES ('ACC', 'Accountant', 3, 32000, 58000), ('SWE', 'Software Engineer', 4, 42000, 95000), ('AGT', 'Support Agent', 2, 22000, 38000), ('LAW', 'Counsel', 5, 60000, 120000), ('DIR', 'Director', 7, 95000, 190000), ('ANL', 'Analyst', 3, 30000, 62000), ('TEC', 'Technician', 2, 24000, 41000);
INSERT INTO emp SELECT n, (ARRAY['Ana', 'Bruno', 'Carla', 'Diogo', 'Elsa', 'Filipe', 'Greta', 'Hugo', 'Ines', 'Joao', 'Katja'])[1 + n % 11], (ARRAY['Alves', 'Brito', 'Costa', 'Dias', 'Esteves', 'Faria', 'Gomes'])[1 + n % 7], CASE WHEN n % 3 = 0 THEN 'F' WHEN n % 3 = 1 THEN 'M' ELSE 'F' END, date '2010-03-01' + n * 67, CASE WHEN n % 9 = 0 THEN date '2010-03-01' + n * 67 + 900 END, (ARRAY['FIN', 'ENG', 'SUP', 'LEG', 'ENG', 'SUP', 'ENG'])[1 + n % 7], (ARRAY['ACC', 'SWE', 'AGT', 'LAW', 'SWE', 'AGT', 'ANL'])[1 + n % 7], CASE WHEN n > 5 THEN 1 + n % 5 END, 24000 + n * 1777 % 71000, (ARRAY['LIS', 'OPO', 'MAD', 'DUB'])[1 + n * n % 7 % 4], CASE WHEN n % 8 <> 0 THEN 'e' || n || '@corp.example' END FROM generate_series(1, 70) n;
INSERT INTO pay_slip SELECT n, 1 + n % 70, (date '2023-01-31' + (n / 70) * interval '1 month')::date, 2000 + n * 53 % 4000, 400 + n * 17 % 900, 1600 + n * 36 % 3100 FROM generate_series(0, 1049) n;
INSERT INTO lv_req SELECT n, 1 + n * 7 % 60, (ARRAY['vacation', 'sick', 'parental', 'vacation', 'unpaid'])[1 + n % 5], date '2023-02-01' + n * 6, date '2023-02-01' + n * 6 + n % 12, 1 + n % 12, (ARRAY['approved', 'approved', 'rejected', 'pending'])[1 + n % 4] FROM generate_series(1, 110) n;
INSERT INTO trng VALUES ('SAF', 'Workplace Safety', 'SafeCo', 120, 4), ('SQL', 'SQL Basics', 'DataSchool', 450, 16), ('LDR', 'Leadership', 'Peak', 1500, 24), ('GDP', 'Data Protection', 'SafeCo', 90, 3), ('NEG', 'Negotiation', 'Peak', 800, 12), ('PRS', 'Presenting', 'Peak', 300, 6), ('XLS', 'Spreadsheets', 'DataSchool', 200, 8);
INSERT INTO emp_trng SELECT DISTINCT ON (1 + n * n % 41, n % 5) 1 + n * n % 41, (ARRAY['SAF', 'SQL', 'LDR', 'GDP', 'NEG'])[1 + n % 5], date '2022-01-15' + n * 8, CASE WHEN n % 6 <> 0 THEN 50 + n * 7 % 50 END FROM generate_series(1, 95) n;
UPDATE emp SET loc_cd = 'OPO' WHERE emp_no IN (SELECT min(emp_no) FROM emp WHERE loc_cd = 'DUB' UNION SELECT min(emp_no) FROM emp WHERE loc_cd = 'MAD');
UPDATE emp SET loc_cd = 'LIS' WHERE emp_no = (SELECT max(emp_no) FROM emp WHERE loc_cd = 'DUB');
INSERT INTO emp_trng VALUES (60, 'SQL', '2024-02-02', 81), (61, 'SQL', '2024-02-02', 77);
ANALYZE;
