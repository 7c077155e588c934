-- A housing cooperative: buildings, flats, tenants and their leases, meters with readings, complaints.
CREATE TABLE "Building" ("BuildingID" int PRIMARY KEY, "Name" text NOT NULL, "District" text NOT NULL, "YearBuilt" int NOT NULL, "Floors" int NOT NULL, "HasElevator" boolean NOT NULL);
CREATE TABLE "Flat" ("FlatID" int PRIMARY KEY, "BuildingID" int NOT NULL REFERENCES "Building", "FlatNo" text NOT NULL, "Rooms" int NOT NULL, "AreaSqm" numeric(6, 1) NOT NULL, "MonthlyRent" numeric(8, 2) NOT NULL, "Floor" int NOT NULL);
CREATE TABLE "Tenant" ("TenantID" int PRIMARY KEY, "FirstName" text NOT NULL, "LastName" text NOT NULL, "Email" text, "BirthDate" date NOT NULL, "Occupation" text);
CREATE TABLE "Lease" ("LeaseID" int PRIMARY KEY, "FlatID" int NOT NULL REFERENCES "Flat", "TenantID" int NOT NULL REFERENCES "Tenant", "StartDate" date NOT NULL, "EndDate" date, "Deposit" numeric(9, 2) NOT NULL);
CREATE TABLE "RentPayment" ("PaymentID" int PRIMARY KEY, "LeaseID" int NOT NULL REFERENCES "Lease", "PaidOn" date NOT NULL, "Amount" numeric(9, 2) NOT NULL, "Method" text NOT NULL);
CREATE TABLE "Complaint" ("ComplaintID" int PRIMARY KEY, "TenantID" int NOT NULL REFERENCES "Tenant", "Topic" text NOT NULL, "FiledOn" date NOT NULL, "SolvedOn" date, "Severity" text NOT NULL);
CREATE TABLE "Meter" ("MeterID" int PRIMARY KEY, "FlatID" int NOT NULL REFERENCES "Flat", "MeterType" text NOT NULL, "InstalledOn" date NOT NULL);
CREATE TABLE "Reading" ("ReadingID" int PRIMARY KEY, "MeterID" int NOT NULL REFERENCES "Meter", "ReadOn" date NOT NULL, "Consumption" numeric(9, 1) NOT NULL);

INSERT INTO "Building" VALUES (1, 'Linden House', 'North', 1931, 5, false), (2, 'Elm Court', 'North', 1968, 9, true), (3, 'Maple Yard', 'Harbour', 2004, 6, true), (4, 'Birch Rise', 'Old Town', 1899, 4, false), (5, 'Cedar Park', 'Harbour', 2022, 7, true);
INSERT INTO "Flat" SELECT n, 1 + n * n % 11 % 4, (n % 9 + 1)::text || chr(65 + n % 4), 1 + n * n % 13 % 5, 28 + n * 17 % 95, 390 + n * 61 % 1200, n % 6 FROM generate_series(1, 80) n;
INSERT INTO "Tenant" SELECT n, (ARRAY['Ada', 'Bela', 'Cora', 'Dora', 'Elif', 'Fred', 'Gabor'])[1 + n % 7], (ARRAY['Arens', 'Blum', 'Cimen', 'Dietz', 'Ebert'])[1 + n % 5] || CASE WHEN n > 35 THEN ' ' || n ELSE '' END, CASE WHEN n % 7 <> 0 THEN 't' || n || '@coop.example' END, date '1939-05-02' + n * 271, CASE WHEN n % 5 <> 0 THEN (ARRAY['nurse', 'retired', 'student', 'clerk', 'driver'])[1 + n * n % 7 % 5] END FROM generate_series(1, 90) n;
INSERT INTO "Lease" SELECT n, 1 + n * n % 73, n, date '2012-01-01' + n * 51, CASE WHEN n % 6 = 0 THEN date '2012-01-01' + n * 51 + 700 END, 800 + n * 131 % 2600 FROM generate_series(1, 84) n;
INSERT INTO "RentPayment" SELECT n, 1 + n * n % 83, date '2024-01-03' + n, 380 + n * 67 % 1100, (ARRAY['transfer', 'direct debit', 'cash'])[1 + n * n % 5 % 3] FROM generate_series(1, 640) n;
INSERT INTO "Complaint" SELECT n, 1 + n * n % 71, (ARRAY['noise', 'heating', 'mould', 'lift', 'parking'])[1 + n * n % 17 % 5], date '2024-02-01' + n * 4, CASE WHEN n % 5 <> 0 THEN date '2024-02-01' + n * 4 + 1 + n * 3 % 50 END, (ARRAY['low', 'medium', 'high'])[1 + n * n % 11 % 3] FROM generate_series(1, 130) n;
INSERT INTO "Meter" SELECT n, 1 + (n - 1) / 2, (ARRAY['water', 'electricity'])[1 + n % 2], date '2016-01-01' + n * 11 FROM generate_series(1, 150) n;
INSERT INTO "Reading" SELECT n, 1 + n * n % 149, date '2024-01-31' + n % 20 * 30, 20 + n * 37 % 400 FROM generate_series(1, 800) n;
ANALYZE;
