-- A small shop to ask questions about: 100 customers, 200 products, 50 orders and their items.
-- Every row is the same on every machine: the rows are computed from fixed lists, without chance and without the clock.
-- Runs in one transaction in an empty database, as its owner.

CREATE TABLE public.customers (
    customer_id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    segment text NOT NULL CHECK (segment IN ('Enterprise', 'Premium', 'Standard', 'Basic')),
    city text NOT NULL,
    country text NOT NULL,
    joined_on date NOT NULL
);
COMMENT ON TABLE public.customers IS 'Customers of the shop, one row each.';
COMMENT ON COLUMN public.customers.customer_id IS 'Number of the customer.';
COMMENT ON COLUMN public.customers.name IS 'Full name of the customer.';
COMMENT ON COLUMN public.customers.email IS 'E-mail address of the customer.';
COMMENT ON COLUMN public.customers.segment IS 'Customer segment: Enterprise, Premium, Standard or Basic.';
COMMENT ON COLUMN public.customers.city IS 'City the customer lives in.';
COMMENT ON COLUMN public.customers.country IS 'Country the customer lives in.';
COMMENT ON COLUMN public.customers.joined_on IS 'Date on which the customer registered.';

CREATE TABLE public.products (
    product_id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    category text NOT NULL,
    unit_price numeric(10, 2) NOT NULL CHECK (unit_price > 0),
    stock_quantity integer NOT NULL CHECK (stock_quantity >= 0)
);
COMMENT ON TABLE public.products IS 'Products the shop sells, one row each.';
COMMENT ON COLUMN public.products.product_id IS 'Number of the product.';
COMMENT ON COLUMN public.products.name IS 'Name of the product.';
COMMENT ON COLUMN public.products.category IS 'Product category, for instance Electronics or Books.';
COMMENT ON COLUMN public.products.unit_price IS 'Current price of one unit in US dollars.';
COMMENT ON COLUMN public.products.stock_quantity IS 'Units in stock; 0 means out of stock.';

CREATE TABLE public.orders (
    order_id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES public.customers (customer_id),
    order_date date NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'processing', 'shipped', 'delivered', 'cancelled')),
    total_amount numeric(12, 2) NOT NULL CHECK (total_amount >= 0)
);
COMMENT ON TABLE public.orders IS 'Orders placed by customers, one row each. Also called sales or purchases.';
COMMENT ON COLUMN public.orders.order_id IS 'Number of the order.';
COMMENT ON COLUMN public.orders.customer_id IS 'Customer who placed the order.';
COMMENT ON COLUMN public.orders.order_date IS 'Date on which the order was placed.';
COMMENT ON COLUMN public.orders.status IS 'Status of the order: pending, processing, shipped, delivered or cancelled.';
COMMENT ON COLUMN public.orders.total_amount IS 'Total sales amount of the order in US dollars.';

CREATE TABLE public.order_items (
    order_item_id integer PRIMARY KEY,
    order_id integer NOT NULL REFERENCES public.orders (order_id),
    product_id integer NOT NULL REFERENCES public.products (product_id),
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(10, 2) NOT NULL CHECK (unit_price > 0),
    UNIQUE (order_id, product_id)
);
COMMENT ON TABLE public.order_items IS 'Products of an order with their quantity, one row for each product of each order.';
COMMENT ON COLUMN public.order_items.order_item_id IS 'Number of the order item.';
COMMENT ON COLUMN public.order_items.order_id IS 'Order the item belongs to.';
COMMENT ON COLUMN public.order_items.product_id IS 'Product that was ordered.';
COMMENT ON COLUMN public.order_items.quantity IS 'Units ordered.';
COMMENT ON COLUMN public.order_items.unit_price IS 'Price of one unit in US dollars when the order was placed.';

CREATE INDEX orders_customer_id ON public.orders (customer_id);
CREATE INDEX order_items_product_id ON public.order_items (product_id);

-- Customers: 20 first names by 25 last names, taken so that no name comes twice; places keep city and country together.
INSERT INTO public.customers (customer_id, name, email, segment, city, country, joined_on)
SELECT n,
       first_name || ' ' || last_name,
       lower(first_name || '.' || last_name) || '@example.com',
       -- 10 Enterprise, 20 Premium, 40 Standard, 30 Basic.
       (ARRAY['Standard', 'Basic', 'Premium', 'Standard', 'Basic', 'Standard', 'Enterprise', 'Premium', 'Standard', 'Basic'])[1 + (n - 1) % 10],
       city,
       country,
       date '2023-01-09' + (n - 1) * 11
FROM generate_series(1, 100) AS n
CROSS JOIN LATERAL (
    SELECT (ARRAY['Alice', 'Benjamin', 'Clara', 'Daniel', 'Elena', 'Felix', 'Grace', 'Hugo', 'Irene', 'Jonas', 'Katharine', 'Liam', 'Maria', 'Noah', 'Olivia', 'Pablo', 'Quinn', 'Rosa', 'Samuel', 'Tessa'])[1 + (n - 1) % 20] AS first_name,
           (ARRAY['Anderson', 'Bauer', 'Costa', 'Dubois', 'Evans', 'Fischer', 'Garcia', 'Hansen', 'Ivanov', 'Jensen', 'Keller', 'Lopez', 'Moreau', 'Nakamura', 'Okafor', 'Parker', 'Quintana', 'Rossi', 'Schmidt', 'Taylor', 'Ueda', 'Vargas', 'Walker', 'Young', 'Zimmer'])[1 + (n * 7) % 25] AS last_name,
           (ARRAY['New York', 'Chicago', 'Seattle', 'Austin', 'Boston', 'Toronto', 'Vancouver', 'London', 'Manchester', 'Berlin', 'Munich', 'Paris', 'Lyon', 'Madrid', 'Sydney'])[1 + (n * 4) % 15] AS city,
           (ARRAY['United States', 'United States', 'United States', 'United States', 'United States', 'Canada', 'Canada', 'United Kingdom', 'United Kingdom', 'Germany', 'Germany', 'France', 'France', 'Spain', 'Australia'])[1 + (n * 4) % 15] AS country
) AS person;

-- Products: ten categories of twenty, each with its price in US dollars.
INSERT INTO public.products (product_id, name, category, unit_price, stock_quantity)
SELECT row_number() OVER (ORDER BY category_number, product_number),
       product[1],
       category,
       product[2]::numeric(10, 2),
       CASE WHEN (category_number * 20 + product_number) % 23 = 0 THEN 0
            ELSE 5 + (category_number * 71 + product_number * 37) % 190 END
FROM (VALUES
    (1, 'Electronics', 'Wireless Mouse=24.99|Mechanical Keyboard=89.00|Laptop Stand=39.50|USB-C Hub=45.00|Noise-Cancelling Headphones=199.00|Bluetooth Speaker=59.90|Webcam=69.00|27-inch Monitor=279.00|External Hard Drive=94.50|Phone Charger=19.99|Smart Watch=229.00|Tablet=349.00|E-Reader=129.00|Wireless Earbuds=99.00|Power Bank=34.90|Router=119.00|Laptop=1099.00|Graphics Tablet=159.00|HDMI Cable=12.50|Desk Microphone=84.00'),
    (2, 'Books', 'Mystery Novel=14.99|World Atlas=49.00|Italian Cookbook=32.00|Garden Handbook=27.50|History of Rome=24.00|Poetry Collection=16.50|Science for Beginners=21.00|Travel Guide Japan=22.90|Chess Openings=19.00|Children''s Fairy Tales=17.99|Business Strategy=29.90|Photography Manual=35.00|Crossword Collection=9.99|Graphic Novel=23.00|English Dictionary=39.00|Art of Bread=31.00|Star Charts=26.00|Classic Short Stories=13.50|Language Course Spanish=44.00|Sailing Memoir=18.90'),
    (3, 'Clothing', 'Cotton T-Shirt=18.00|Denim Jeans=64.00|Wool Sweater=79.00|Rain Jacket=109.00|Winter Coat=189.00|Linen Shirt=52.00|Summer Dress=69.90|Leather Belt=34.00|Running Socks=11.90|Baseball Cap=21.00|Silk Scarf=45.00|Wool Gloves=27.50|Chino Trousers=58.00|Hooded Sweatshirt=49.00|Pyjama Set=42.00|Swim Shorts=32.00|Polo Shirt=36.00|Knitted Hat=22.50|Pleated Skirt=54.00|Thermal Leggings=38.00'),
    (4, 'Home & Kitchen', 'Chef''s Knife=74.00|Cast Iron Pan=49.90|Espresso Machine=389.00|Electric Kettle=44.00|Cutting Board=28.00|Mixing Bowl Set=36.50|Wine Glasses=39.00|Table Lamp=57.00|Throw Blanket=46.00|Bath Towel Set=41.00|Storage Baskets=33.00|Wall Clock=29.00|Blender=99.00|Toaster=54.00|Dinner Plate Set=68.00|Cushion Cover=17.50|Picture Frame=15.90|Spice Rack=31.00|Vacuum Cleaner=219.00|Pepper Mill=26.00'),
    (5, 'Sports', 'Yoga Mat=29.00|Dumbbell Set=119.00|Tennis Racket=139.00|Football=24.00|Running Shoes=124.00|Bicycle Helmet=64.50|Water Bottle=14.50|Jump Rope=11.00|Camping Tent=249.00|Sleeping Bag=89.00|Hiking Backpack=114.00|Resistance Bands=19.90|Basketball=28.50|Swimming Goggles=17.00|Ski Gloves=48.00|Badminton Set=39.90|Trekking Poles=58.00|Foam Roller=23.00|Cycling Jersey=66.00|Table Tennis Set=35.00'),
    (6, 'Toys', 'Building Blocks=39.00|Wooden Train Set=64.00|Teddy Bear=24.90|Puzzle 1000 Pieces=18.00|Board Game=34.00|Toy Kitchen=129.00|Remote Control Car=59.00|Doll House=149.00|Modelling Clay=12.90|Kite=19.50|Marble Run=44.00|Card Game=11.50|Rocking Horse=99.00|Science Kit=42.00|Bath Toys=14.00|Magnetic Tiles=54.00|Hand Puppets=21.00|Spinning Top=7.90|Toy Drum=26.50|Scooter=79.00'),
    (7, 'Beauty', 'Face Cream=34.00|Hand Soap=8.90|Shampoo=12.50|Conditioner=12.90|Lip Balm=4.90|Perfume=84.00|Hair Dryer=69.00|Nail Polish=9.50|Body Lotion=16.00|Sunscreen=18.90|Shaving Kit=46.00|Electric Toothbrush=89.00|Face Mask Set=22.00|Bath Salts=14.50|Hair Brush=17.00|Beard Oil=19.90|Make-Up Brushes=37.00|Cotton Pads=3.90|Eye Serum=41.00|Foot Cream=11.00'),
    (8, 'Garden', 'Watering Can=22.00|Garden Hose=39.00|Pruning Shears=28.90|Lawn Mower=329.00|Flower Pot=13.50|Tomato Seeds=3.50|Rose Bush=24.00|Compost Bin=69.00|Garden Gloves=10.90|Bird Feeder=27.00|Wheelbarrow=94.00|Solar Lights=36.00|Parasol=119.00|Folding Chair=44.50|Barbecue Grill=259.00|Leaf Rake=21.50|Potting Soil=9.90|Herb Planter=32.00|Hedge Trimmer=109.00|Picnic Table=189.00'),
    (9, 'Office', 'Desk Chair=239.00|Standing Desk=449.00|Notebook Pack=14.90|Ballpoint Pens=8.50|Stapler=13.00|Paper Shredder=84.00|Desk Organizer=26.00|Whiteboard=59.00|Printer=179.00|Printer Paper=7.90|Ink Cartridge=38.00|Filing Cabinet=149.00|Desk Pad=24.50|Calculator=18.00|Sticky Notes=5.90|Footrest=42.00|Label Maker=48.00|Envelope Pack=6.50|Bookend Pair=16.90|Monitor Arm=79.00'),
    (10, 'Groceries', 'Olive Oil=14.00|Coffee Beans=17.90|Green Tea=9.50|Dark Chocolate=4.50|Honey=8.90|Pasta=2.90|Basmati Rice=6.50|Almonds=11.90|Oat Biscuits=4.20|Strawberry Jam=5.40|Sea Salt=3.20|Maple Syrup=13.50|Sparkling Water=1.90|Tomato Sauce=3.60|Granola=7.20|Balsamic Vinegar=12.00|Peanut Butter=6.90|Dried Mango=5.90|Vegetable Broth=4.80|Apple Juice=3.90')
) AS catalogue (category_number, category, listing)
CROSS JOIN LATERAL unnest(string_to_array(listing, '|')) WITH ORDINALITY AS line (entry, product_number)
CROSS JOIN LATERAL string_to_array(entry, '=') AS product;

-- Orders: about one every nine days; the newest are still under way, a few were cancelled.
INSERT INTO public.orders (order_id, customer_id, order_date, status, total_amount)
SELECT n,
       1 + (n * 13 + n / 9) % 60,
       date '2025-01-06' + (n - 1) * 9 + n % 4,
       CASE WHEN n > 47 THEN 'pending'
            WHEN n > 44 THEN 'processing'
            WHEN n > 40 THEN 'shipped'
            WHEN n % 12 = 5 THEN 'cancelled'
            ELSE 'delivered' END,
       0
FROM generate_series(1, 50) AS n;

-- Order items: one to four products each, at the price of the day, which in 2025 was three per cent lower.
INSERT INTO public.order_items (order_item_id, order_id, product_id, quantity, unit_price)
SELECT row_number() OVER (ORDER BY orders.order_id, line),
       orders.order_id,
       products.product_id,
       1 + (orders.order_id * 5 + line * 3) % 4,
       CASE WHEN orders.order_date < date '2026-01-01' THEN round(products.unit_price * 0.97, 2)
            ELSE products.unit_price END
FROM public.orders
CROSS JOIN LATERAL generate_series(1, 1 + orders.order_id * 7 % 4) AS line
JOIN public.products ON products.product_id = 1 + (orders.order_id * 29 + line * 53) % 200;

UPDATE public.orders
SET total_amount = (SELECT sum(quantity * unit_price) FROM public.order_items WHERE order_items.order_id = orders.order_id);
