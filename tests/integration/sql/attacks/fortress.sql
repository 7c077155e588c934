-- What attacks are let loose on, besides the sample shop: everything that they could wish for is there.
CREATE SCHEMA hr;
CREATE TABLE hr.salaries (person text PRIMARY KEY, amount int NOT NULL);
INSERT INTO hr.salaries VALUES ('Ada', 90000), ('Bo', 80000);
CREATE TABLE public.ledger (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entry text, owner name DEFAULT current_user);
INSERT INTO public.ledger (entry, owner) VALUES ('of the owner', 'postgres'), ('of nobody', 'nobody');
ALTER TABLE public.ledger ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON public.ledger USING (owner = current_user);
CREATE SEQUENCE public.ticket_numbers;
CREATE TYPE public.mood AS ENUM ('sad', 'ok');
CREATE DOMAIN public.percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE VIEW public.customer_names AS SELECT customer_id, name FROM public.customers;
CREATE MATERIALIZED VIEW public.order_totals AS SELECT customer_id, sum(total_amount) AS total FROM public.orders GROUP BY 1;
CREATE INDEX orders_by_status ON public.orders (status);
CREATE STATISTICS public.order_statistics ON customer_id, status FROM public.orders;
CREATE RULE renamed AS ON UPDATE TO public.customer_names DO INSTEAD UPDATE public.customers SET name = NEW.name;
CREATE FUNCTION public.wipe_orders() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN DELETE FROM public.order_items; DELETE FROM public.orders; RETURN 1; END $$;
CREATE FUNCTION public.run_anything(statement text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN EXECUTE statement; RETURN 1; END $$;
CREATE FUNCTION public.salary_of(wanted text) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER AS
  $$ SELECT amount FROM hr.salaries WHERE person = wanted $$;
CREATE FUNCTION public.quiet_write() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  $$ BEGIN INSERT INTO public.ledger (entry) VALUES ('written while planning'); RETURN 1; END $$;
CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER stamped BEFORE UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION public.stamp();
CREATE PROCEDURE public.close_books() LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN DELETE FROM public.ledger; END $$;
CREATE FOREIGN DATA WRAPPER remote;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER remote;
CREATE PUBLICATION everything FOR ALL TABLES;
SELECT lo_from_bytea(4711, 'precious');
