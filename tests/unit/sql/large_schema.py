"""A schema of several hundred tables, as companies have them after years, and questions whose tables are known.

Each line of the plan is a table with its columns; a column `x > table` points to that table's key. Around the tables
that are meant stand copies of them (archives, staging, yearly ones) and tables of modules that nobody asks about.
"""

from dataclasses import replace

from services.sql.models import Column, ColumnKind, ForeignKey, Schema, Table

_PLAN = """
crm.customers: customer_id, full_name, segment=Consumer|Corporate|Home office, city, country, signed_up_on
crm.contacts: contact_id, customer_id > crm.customers, email, phone, is_primary
crm.opportunities: opportunity_id, customer_id > crm.customers, stage=Lead|Proposal|Won|Lost, expected_amount, closes_on
crm.campaigns: campaign_id, title, channel=Mail|Radio|Social, budget, started_on
crm.campaign_members: campaign_id > crm.campaigns, contact_id > crm.contacts, responded_at
shop.orders: order_id, customer_id > crm.customers, ordered_at, status=open|paid|shipped|returned, total_amount
shop.order_lines: order_id > shop.orders, line_no, product_id > shop.products, quantity, unit_price
shop.products: product_id, product_name, category_id > shop.categories, list_price, weight_kg
shop.categories: category_id, category_name, parent_id
shop.returns: return_id, order_id > shop.orders, reason=Damaged|Too late|Wrong size, refunded_amount
shop.shipments: shipment_id, order_id > shop.orders, carrier_id > shop.carriers, shipped_at, delivered_at
shop.carriers: carrier_id, carrier_name, is_express
shop.coupons: coupon_id, code, percent_off, valid_until
shop.order_coupons: order_id > shop.orders, coupon_id > shop.coupons
shop.reviews: review_id, product_id > shop.products, customer_id > crm.customers, stars, written_on
hr.employees: emp_no, first_nm, last_nm, hire_dt, sal_amt, dept_cd > hr.departments, mgr_emp_no
hr.departments: dept_cd, dept_nm, cost_ctr
hr.projects: project_id, project_name, deadline, budget_hours
hr.assignments: emp_no > hr.employees, project_id > hr.projects, hours_worked
hr.trainings: training_id, title, provider, price
hr.attendances: training_id > hr.trainings, emp_no > hr.employees, attended_on, score
hr.absences: absence_id, emp_no > hr.employees, kind=Sick|Holiday|Parental, from_day, to_day
fin.invoices: invoice_id, order_id > shop.orders, issued_on, due_on, net_amount, tax_amount
fin.payments: payment_id, invoice_id > fin.invoices, paid_on, amount, method=Card|Transfer|Cash
fin.budgets: budget_id, dept_cd > hr.departments, fiscal_year, planned_amount
fin.ledger_entries: entry_id, account_id > fin.accounts, booked_on, debit, credit
fin.accounts: account_id, account_name, account_type=Asset|Liability|Income|Expense
wh.warehouses: warehouse_id, warehouse_name, city, capacity
wh.stock_levels: warehouse_id > wh.warehouses, product_id > shop.products, on_hand, reorder_point
wh.suppliers: supplier_id, supplier_name, country
wh.purchase_orders: purchase_order_id, supplier_id > wh.suppliers, warehouse_id > wh.warehouses, ordered_on
wh.purchase_lines: purchase_order_id > wh.purchase_orders, product_id > shop.products, quantity, unit_cost
it.tickets: ticket_id, opened_by_emp_no > hr.employees, priority=Low|High|Urgent, opened_at, closed_at
it.devices: device_id, emp_no > hr.employees, model, bought_on
it.t_0417: c1, c2, c3
ops.machines: machine_id, machine_name, site
ops.readings: machine_id > ops.machines, measured_at, temperature, pressure
ops.maintenance: maintenance_id, machine_id > ops.machines, done_on, technician_emp_no > hr.employees, cost
"""

QUESTIONS: list[tuple[str, set[str]]] = [
    ("How many customers do we have in each segment?", {"crm.customers"}),
    ("Total order amount per customer in 2024", {"shop.orders", "crm.customers"}),
    ("Which products were never ordered?", {"shop.products", "shop.order_lines"}),
    ("Revenue by product category", {"shop.order_lines", "shop.products", "shop.categories"}),
    ("How many corporate clients are there?", {"crm.customers"}),
    ("Which carrier delivers fastest?", {"shop.shipments", "shop.carriers"}),
    ("Orders that were shipped but not delivered yet", {"shop.orders", "shop.shipments"}),
    ("Average stars of each product", {"shop.reviews", "shop.products"}),
    ("Refunds by reason", {"shop.returns"}),
    ("How many returns came too late?", {"shop.returns"}),
    ("Which coupons were used most often?", {"shop.coupons", "shop.order_coupons"}),
    ("Names of the employees who work on the project Apollo", {"hr.employees", "hr.projects", "hr.assignments"}),
    ("Average salary by department", {"hr.employees", "hr.departments"}),
    ("Who earns the most in each department?", {"hr.employees", "hr.departments"}),
    ("Which employees attended no training?", {"hr.employees", "hr.attendances"}),
    ("Hours worked per project", {"hr.assignments", "hr.projects"}),
    ("Days of sick leave by employee", {"hr.absences", "hr.employees"}),
    ("Invoices that are overdue and not paid", {"fin.invoices", "fin.payments"}),
    ("Total payments by method", {"fin.payments"}),
    ("How much was paid by card last month?", {"fin.payments"}),
    ("Planned budget of each department for 2025", {"fin.budgets", "hr.departments"}),
    ("Balance of every income account", {"fin.accounts", "fin.ledger_entries"}),
    ("Which warehouse holds the most stock?", {"wh.warehouses", "wh.stock_levels"}),
    ("Products below their reorder point", {"shop.products", "wh.stock_levels"}),
    (
        "From which suppliers did we purchase the product Lamp?",
        {"wh.suppliers", "wh.purchase_orders", "wh.purchase_lines", "shop.products"},
    ),
    ("Suppliers from Italy", {"wh.suppliers"}),
    ("How many urgent tickets are open?", {"it.tickets"}),
    ("Which employees have opened more than 10 tickets?", {"it.tickets", "hr.employees"}),
    ("Devices bought before 2020 and who uses them", {"it.devices", "hr.employees"}),
    ("Average temperature of each machine", {"ops.readings", "ops.machines"}),
    ("Maintenance cost by machine and technician", {"ops.maintenance", "ops.machines", "hr.employees"}),
    ("How many opportunities were won?", {"crm.opportunities"}),
    ("Customers without any opportunity", {"crm.customers", "crm.opportunities"}),
    ("Which contacts responded to the campaign Spring?", {"crm.contacts", "crm.campaigns", "crm.campaign_members"}),
    ("Which customers responded to a campaign?", {"crm.customers", "crm.contacts", "crm.campaign_members"}),
    ("How many badge scans were there at the north gate?", {"it.t_0417"}),
    ("Number of custmers per country", {"crm.customers"}),
    ("Show all order_lines with quantity over 100", {"shop.order_lines"}),
    ("Employees per cost centre", {"hr.employees", "hr.departments"}),
    ("Which customers bought products of the category Garden?", {"crm.customers", "shop.orders", "shop.order_lines"}),
]

_COPIES = ("_archive", "_staging", "_2022", "_2023", "_audit", "_bak", "_export")
_MODULES = "legacy temp report import mobile partner survey print fleet energy travel legal media lab".split()
_NOUNS = "batch entry detail header mapping snapshot request log setting token queue rule".split()


def large_schema() -> Schema:
    """Somewhat under 500 tables."""
    tables = [_table(line) for line in _PLAN.strip().splitlines()]
    badge = next(table for table in tables if table.name == "t_0417")
    tables[tables.index(badge)] = replace(badge, comment="Badge scans at the gates of the sites")
    copies = [_copy(table, ending) for table in tables for ending in _COPIES]
    fillers = [
        Table(module, f"{module}_{noun}", tuple(map(_column, ("id", f"{noun}_no", "name", "status", "created_at"))))
        for module in _MODULES
        for noun in _NOUNS
    ]
    return Schema(tuple(sorted([*tables, *copies, *fillers], key=lambda table: table.full_name)))


def _table(line: str) -> Table:
    full_name, _, rest = line.partition(": ")
    schema, _, name = full_name.partition(".")
    columns, keys = [], []
    for entry in rest.split(", "):
        told, _, target = entry.partition(" > ")
        column, _, values = told.partition("=")
        columns.append(_column(column, *(values.split("|") if values else ())))
        if target:
            other_schema, _, other = target.partition(".")
            key = "emp_no" if other == "employees" else column
            keys.append(ForeignKey((column,), other_schema, other, (key,)))
    primary = () if keys and keys[0].columns[0] == columns[0].name else (columns[0].name,)
    return Table(schema, name, tuple(columns), primary_key=primary, foreign_keys=tuple(keys))


def _column(name: str, *values: str) -> Column:
    return Column(name, "text", ColumnKind.TEXT, values=values, values_complete=bool(values))


def _copy(table: Table, ending: str) -> Table:
    return replace(table, name=table.name + ending)
