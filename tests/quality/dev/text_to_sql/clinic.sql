-- A clinic: mixed-case names, no declared keys in part, abbreviations, a schema of its own, codes for sex.
CREATE SCHEMA clinic;
CREATE TABLE clinic."Physician" ("PhysicianID" int PRIMARY KEY, "Name" text, "Speciality" text, "Salary" numeric(10, 2), "HireDate" date, "DeptID" int);
CREATE TABLE clinic."Department" ("DeptID" int PRIMARY KEY, "DeptName" text, "Building" text, "Budget" numeric(12, 2), "NumBeds" int);
CREATE TABLE clinic."Patient" ("PatientID" int PRIMARY KEY, "FName" text, "LName" text, "Sex" char(1), "DOB" date, "City" text, "InsuranceStatus" text, "Weight" numeric(5, 1), "Height" int);
CREATE TABLE clinic."Appointment" ("AppointmentID" int PRIMARY KEY, "PatientID" int, "PhysicianID" int, "StartTime" timestamp, "DurationMinutes" int, "Fee" numeric(8, 2), "Outcome" text);
CREATE TABLE clinic."Prescription" ("PrescriptionID" int PRIMARY KEY, "AppointmentID" int, "Drug" text, "Dose" int, "Quantity" int);
COMMENT ON COLUMN clinic."Appointment"."Outcome" IS 'How the visit ended: completed, no-show or cancelled.';

INSERT INTO clinic."Department" VALUES (1, 'Cardiology', 'North', 900000, 40), (2, 'Neurology', 'North', 750000, 25), (3, 'Paediatrics', 'South', 500000, 60), (4, 'Dermatology', 'South', 200000, 5), (5, 'Radiology', 'East', 650000, 0);
INSERT INTO clinic."Physician" VALUES
 (1, 'Dr Amir Bell', 'Surgeon', 182000, '2009-05-01', 1), (2, 'Dr Chen Dee', 'Cardiologist', 165000, '2015-03-12', 1), (3, 'Dr Eva Finn', 'Neurologist', 171000, '2012-10-01', 2),
 (4, 'Dr Gus Hale', 'Paediatrician', 128000, '2018-07-23', 3), (5, 'Dr Ida Jones', 'Paediatrician', 119000, '2021-01-04', 3), (6, 'Dr Kai Lund', 'Dermatologist', 140000, '2019-09-09', 4);
INSERT INTO clinic."Patient" VALUES
 (1, 'Mona', 'North', 'F', '1980-02-11', 'Ghent', 'public', 62.5, 168), (2, 'Nils', 'Olsen', 'M', '1955-07-30', 'Bruges', 'private', 81.0, 179), (3, 'Olga', 'Petit', 'F', '2015-12-01', 'Ghent', 'public', 24.3, 121),
 (4, 'Paul', 'Quist', 'M', '2018-05-19', 'Antwerp', 'none', 19.8, 108), (5, 'Rita', 'Sand', 'F', '1992-09-09', 'Antwerp', 'private', 70.2, 172), (6, 'Sven', 'Tiel', 'M', '1978-01-25', 'Ghent', 'public', 95.4, 185),
 (7, 'Tara', 'Urban', 'F', '1966-11-03', 'Bruges', 'public', 66.6, 160);
INSERT INTO clinic."Appointment" VALUES
 (1, 1, 2, '2023-01-10 09:00', 30, 80, 'completed'), (2, 1, 3, '2023-02-20 14:30', 45, 120, 'completed'), (3, 2, 1, '2023-02-21 08:00', 60, 250, 'completed'), (4, 2, 2, '2023-04-04 10:00', 30, 80, 'no-show'),
 (5, 3, 4, '2023-05-15 11:00', 20, 60, 'completed'), (6, 4, 4, '2023-05-16 11:30', 20, 60, 'cancelled'), (7, 4, 5, '2023-06-01 09:30', 25, 65, 'completed'), (8, 5, 6, '2023-07-07 13:00', 15, 90, 'completed'),
 (9, 6, 2, '2023-08-18 16:00', 40, 95, 'completed'), (10, 6, 1, '2024-01-09 08:00', 90, 310, 'completed'), (11, 6, 3, '2024-02-02 15:00', 45, 120, 'no-show'), (12, 3, 5, '2024-03-03 10:15', 20, 60, 'completed');
INSERT INTO clinic."Prescription" VALUES
 (1, 1, 'Aspirin', 100, 30), (2, 3, 'Aspirin', 100, 60), (3, 3, 'Statin', 20, 90), (4, 5, 'Amoxicillin', 250, 21), (5, 8, 'Cortisone', 5, 10), (6, 9, 'Statin', 40, 90), (7, 10, 'Ibuprofen', 400, 20), (8, 12, 'Amoxicillin', 500, 14), (9, 12, 'Ibuprofen', 200, 12);
ANALYZE;
