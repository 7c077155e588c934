-- Subscriptions of a software company: CamelCase names in quotes, declared keys, enums, flags, dates near today.
CREATE TYPE "TicketPriority" AS ENUM ('low', 'normal', 'high', 'urgent');
CREATE TABLE "Plans" ("PlanId" int PRIMARY KEY, "PlanName" text NOT NULL, "MonthlyPrice" numeric(8, 2) NOT NULL, "SeatLimit" int, "IsPublic" boolean NOT NULL);
CREATE TABLE "Accounts" ("AccountId" int PRIMARY KEY, "CompanyName" text NOT NULL, "Industry" text, "Country" text NOT NULL, "EmployeeCount" int, "SignupDate" date NOT NULL, "ReferredByAccountId" int REFERENCES "Accounts");
CREATE TABLE "Users" ("UserId" int PRIMARY KEY, "AccountId" int NOT NULL REFERENCES "Accounts", "FullName" text NOT NULL, "Email" text NOT NULL, "Role" text NOT NULL, "LastLoginAt" timestamp, "IsActive" boolean NOT NULL);
CREATE TABLE "Subscriptions" ("SubscriptionId" int PRIMARY KEY, "AccountId" int NOT NULL REFERENCES "Accounts", "PlanId" int NOT NULL REFERENCES "Plans", "StartDate" date NOT NULL, "EndDate" date, "Status" text NOT NULL, "Seats" int NOT NULL, "BillingCycle" text NOT NULL);
CREATE TABLE "Invoices" ("InvoiceId" int PRIMARY KEY, "SubscriptionId" int NOT NULL REFERENCES "Subscriptions", "IssuedOn" date NOT NULL, "PaidOn" date, "Amount" numeric(10, 2) NOT NULL, "Currency" text NOT NULL);
CREATE TABLE "Features" ("FeatureId" int PRIMARY KEY, "FeatureName" text NOT NULL, "Module" text NOT NULL);
CREATE TABLE "PlanFeatures" ("PlanId" int REFERENCES "Plans", "FeatureId" int REFERENCES "Features", PRIMARY KEY ("PlanId", "FeatureId"));
CREATE TABLE "SupportTickets" ("TicketId" int PRIMARY KEY, "AccountId" int NOT NULL REFERENCES "Accounts", "OpenedByUserId" int REFERENCES "Users", "Priority" "TicketPriority" NOT NULL, "OpenedAt" timestamp NOT NULL, "ClosedAt" timestamp, "SatisfactionScore" int);
COMMENT ON COLUMN "Subscriptions"."Status" IS 'active, cancelled or trial.';

INSERT INTO "Plans" VALUES (1, 'Free', 0, 3, true), (2, 'Starter', 19, 10, true), (3, 'Team', 49, 50, true), (4, 'Enterprise', 199, NULL, false), (5, 'Legacy', 29, 15, false);
INSERT INTO "Accounts" SELECT n, (ARRAY['Acme', 'Borealis', 'Cobalt', 'Dynamo', 'Evergreen', 'Fjord', 'Granite', 'Harbor', 'Indigo', 'Juniper'])[1 + n % 10] || ' ' || (ARRAY['Labs', 'Foods', 'Logistics', 'Media'])[1 + n % 4], (ARRAY['Retail', 'Finance', 'Education', 'Healthcare', NULL])[1 + n * 3 % 5], (ARRAY['Norway', 'Sweden', 'Denmark', 'Finland', 'Iceland', 'Estonia'])[1 + n * n % 6], 5 + n * 37 % 400, date '2021-01-10' + n * 43, CASE WHEN n % 4 = 0 THEN n / 4 END FROM generate_series(1, 40) n;
INSERT INTO "Users" SELECT n, 1 + n * 7 % 38, 'User ' || n, 'user' || n || '@example.' || (ARRAY['com', 'org', 'net'])[1 + n % 3], (ARRAY['admin', 'editor', 'viewer', 'viewer'])[1 + n % 4], CASE WHEN n % 6 <> 0 THEN now()::timestamp(0) - n * interval '17 hours' END, n % 5 <> 0 FROM generate_series(1, 120) n;
INSERT INTO "Subscriptions" SELECT n, 1 + n * 11 % 35, 1 + n * n % 17 % 4, date '2022-02-01' + n * 19, CASE WHEN n % 3 = 0 THEN date '2022-02-01' + n * 19 + 200 END, (ARRAY['cancelled', 'active', 'active', 'cancelled', 'active', 'trial'])[1 + n % 6], 1 + n * 5 % 23, (ARRAY['monthly', 'yearly'])[1 + n % 2] FROM generate_series(1, 60) n;
INSERT INTO "Invoices" SELECT n, 1 + n * 13 % 55, current_date - n * 5, CASE WHEN n % 7 <> 0 THEN current_date - n * 5 + n % 20 END, 20 + n * 31 % 900, (ARRAY['EUR', 'NOK', 'SEK'])[1 + n % 3] FROM generate_series(1, 200) n;
INSERT INTO "Features" VALUES (1, 'Single sign-on', 'Security'), (2, 'Audit log', 'Security'), (3, 'Dashboards', 'Analytics'), (4, 'Forecasting', 'Analytics'), (5, 'Webhooks', 'Integration'), (6, 'Bulk export', 'Integration'), (7, 'White label', 'Branding');
INSERT INTO "PlanFeatures" VALUES (1, 3), (2, 3), (2, 5), (3, 3), (3, 5), (3, 6), (3, 2), (4, 1), (4, 2), (4, 3), (4, 4), (4, 5), (4, 6);
INSERT INTO "SupportTickets" SELECT n, 1 + n * n % 30, 1 + n * 17 % 120, (ARRAY['low', 'normal', 'normal', 'high', 'urgent'])[1 + n % 5]::"TicketPriority", now()::timestamp(0) - n * interval '41 hours', CASE WHEN n % 4 <> 0 THEN now()::timestamp(0) - n * interval '41 hours' + (n % 30) * interval '3 hours' END, CASE WHEN n % 4 <> 0 THEN 1 + n * 3 % 5 END FROM generate_series(1, 90) n;
INSERT INTO "Subscriptions" SELECT 60 + n, 3 * n, 3, date '2024-01-01' + n, NULL, 'active', 4, 'yearly' FROM generate_series(1, 6) n;
ANALYZE;
