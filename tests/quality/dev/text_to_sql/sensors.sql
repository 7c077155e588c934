-- Telemetry of machines, a legacy schema: tables with a prefix, some keys declared and some not, events by the minute.
CREATE TABLE tbl_site (site_id int PRIMARY KEY, site_name text, province text, commissioned date);
CREATE TABLE tbl_machine (machine_id int PRIMARY KEY, serial_no text, machine_type text, site_id int, install_date date, purchase_cost numeric(12, 2), is_active boolean);
CREATE TABLE tbl_sensor (sensor_id int PRIMARY KEY, machine_id int REFERENCES tbl_machine, sensor_kind text, unit text, min_threshold numeric(8, 2), max_threshold numeric(8, 2));
CREATE TABLE tbl_reading (reading_id bigint PRIMARY KEY, sensor_id int REFERENCES tbl_sensor, recorded_at timestamp, reading_value numeric(8, 2), quality text);
CREATE TABLE tbl_alarm (alarm_id int PRIMARY KEY, sensor_id int REFERENCES tbl_sensor, raised_at timestamp, cleared_at timestamp, severity text, message text);
CREATE TABLE tbl_technician (technician_id int PRIMARY KEY, tech_name text, certification text, home_site_id int REFERENCES tbl_site, hourly_rate numeric(6, 2));
CREATE TABLE tbl_work_order (work_order_id int PRIMARY KEY, machine_id int, technician_id int, opened_on date, completed_on date, hours_worked numeric(5, 1), work_type text, parts_cost numeric(10, 2));

INSERT INTO tbl_site VALUES (1, 'North Mill', 'Ontario', '1999-04-12'), (2, 'Lakeshore', 'Ontario', '2006-10-03'), (3, 'Prairie Works', 'Manitoba', '2011-08-19'), (4, 'Coastal', 'Nova Scotia', '2016-01-25'), (5, 'Ridge', 'Alberta', '2022-05-30');
INSERT INTO tbl_machine SELECT n, 'SN-' || 4000 + n * 17, (ARRAY['compressor', 'pump', 'turbine', 'conveyor'])[1 + n % 4], 1 + n * n % 4, date '2005-03-15' + n * 190, 12000 + n * 8731 % 240000, n % 7 <> 0 FROM generate_series(1, 30) n;
INSERT INTO tbl_sensor SELECT n, 1 + n % 28, (ARRAY['temperature', 'pressure', 'vibration'])[1 + n % 3], (ARRAY['celsius', 'bar', 'mm/s'])[1 + n % 3], n % 10, 60 + n % 40 FROM generate_series(1, 75) n;
INSERT INTO tbl_reading SELECT n, 1 + n * 7 % 72, now()::timestamp(0) - n * interval '97 minutes', n * 29 % 1200 / 10.0, (ARRAY['good', 'good', 'good', 'suspect', 'bad'])[1 + n % 5] FROM generate_series(1, 2000) n;
INSERT INTO tbl_alarm SELECT n, 1 + n * 11 % 60, now()::timestamp(0) - n * interval '31 hours', CASE WHEN n % 5 <> 0 THEN now()::timestamp(0) - n * interval '31 hours' + (n % 9) * interval '25 minutes' END, (ARRAY['info', 'warning', 'warning', 'critical'])[1 + n % 4], (ARRAY['Over limit', 'Signal lost', 'Drift detected'])[1 + n % 3] FROM generate_series(1, 130) n;
INSERT INTO tbl_technician VALUES (1, 'Rosa Lang', 'electrical', 1, 62), (2, 'Tom Hicks', 'mechanical', 1, 55), (3, 'Una Shaw', 'electrical', 2, 58.5), (4, 'Victor Roy', 'hydraulic', 3, 71), (5, 'Wendy Cole', 'mechanical', 4, 49), (6, 'Xavier Bond', NULL, 2, 40);
INSERT INTO tbl_work_order SELECT n, 1 + n * 5 % 26, 1 + n * n % 5, date '2024-01-08' + n * 5, CASE WHEN n % 6 <> 0 THEN date '2024-01-08' + n * 5 + n % 14 END, 1 + n * 7 % 30 / 2.0, (ARRAY['preventive', 'corrective', 'inspection'])[1 + n % 3], CASE WHEN n % 4 <> 0 THEN n * 83 % 2500 END FROM generate_series(1, 140) n;
ANALYZE;
