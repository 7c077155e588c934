"""What a query may be made of: the guard's allow-lists. Whatever is not named here is refused."""

from __future__ import annotations

from sqlglot import exp

_QUERY_PARTS = frozenset({"with_", "order", "limit", "offset"})

# Nodes that shape a query, with the parts each may have. A part that is missing here (locks, into, sample, hints,
# pivots, ROWS FROM, SEARCH and CYCLE, …) makes the query refused.
STRUCTURE: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: _QUERY_PARTS | {"expressions", "from_", "joins", "where", "group", "having", "distinct", "windows"},
    exp.Union: _QUERY_PARTS | {"this", "expression", "distinct"},
    exp.Intersect: _QUERY_PARTS | {"this", "expression", "distinct"},
    exp.Except: _QUERY_PARTS | {"this", "expression", "distinct"},
    exp.Subquery: _QUERY_PARTS | {"this", "alias", "joins"},
    exp.With: frozenset({"expressions", "recursive"}),
    exp.CTE: frozenset({"this", "alias", "materialized"}),
    exp.From: frozenset({"this"}),
    exp.Join: frozenset({"this", "kind", "side", "method", "on", "using"}),
    exp.Table: frozenset({"this", "db", "alias", "joins", "ordinality"}),
    exp.TableAlias: frozenset({"this", "columns"}),
    exp.Lateral: frozenset({"this", "alias", "ordinality"}),
    exp.Values: frozenset({"expressions", "alias"}),
    exp.Where: frozenset({"this"}),
    exp.Group: frozenset({"expressions", "rollup", "cube", "grouping_sets"}),
    exp.Rollup: frozenset({"expressions"}),
    exp.Cube: frozenset({"expressions"}),
    exp.GroupingSets: frozenset({"expressions"}),
    exp.Having: frozenset({"this"}),
    exp.Order: frozenset({"this", "expressions"}),
    exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
    exp.Limit: frozenset({"expression"}),
    exp.Fetch: frozenset({"direction", "count", "limit_options"}),
    exp.LimitOptions: frozenset({"rows"}),
    exp.Offset: frozenset({"expression"}),
    exp.Distinct: frozenset({"expressions", "on"}),
    exp.Window: frozenset({"this", "partition_by", "order", "spec", "alias", "over"}),
    exp.WindowSpec: frozenset({"kind", "start", "start_side", "end", "end_side", "exclude"}),
    exp.Filter: frozenset({"this", "expression"}),
    exp.WithinGroup: frozenset({"this", "expression"}),
    exp.Alias: frozenset({"this", "alias"}),
    exp.Column: frozenset({"this", "table", "db"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Star: frozenset(),
    exp.Cast: frozenset({"this", "to"}),
    exp.DataType: frozenset({"this", "expressions", "nested", "kind"}),
    exp.DataTypeParam: frozenset({"this"}),
    exp.Interval: frozenset({"this", "unit"}),
    exp.IntervalSpan: frozenset({"this", "expression"}),
    exp.Anonymous: frozenset({"this", "expressions"}),
    exp.Kwarg: frozenset({"this", "expression"}),
    exp.Array: frozenset({"expressions", "bracket_notation"}),
    exp.Bracket: frozenset({"this", "expressions", "offset"}),
    exp.Slice: frozenset({"this", "expression"}),
    exp.In: frozenset({"this", "expressions", "query"}),
    exp.Collate: frozenset({"this", "expression"}),
    exp.Trim: frozenset({"this", "expression", "position"}),
    exp.Substring: frozenset({"this", "start", "length"}),
    exp.StrPosition: frozenset({"this", "substr"}),
    exp.Overlay: frozenset({"this", "expression", "from_", "for_"}),
    exp.Extract: frozenset({"this", "expression"}),
    exp.CurrentDate: frozenset(),
    exp.CurrentTime: frozenset({"this"}),
    exp.CurrentTimestamp: frozenset({"this"}),
    exp.Localtime: frozenset({"this"}),
    exp.Localtimestamp: frozenset({"this"}),
    exp.JSONExtract: frozenset({"this", "expression"}),
    exp.JSONExtractScalar: frozenset({"this", "expression"}),
}

# Values and operators: nothing but operands below them.
OPERATORS: frozenset[type[exp.Expr]] = frozenset(
    {
        exp.Add, exp.All, exp.And, exp.Any, exp.ArrayContainedBy, exp.ArrayContainsAll, exp.ArrayOverlaps,
        exp.AtTimeZone, exp.Between, exp.BitwiseAnd, exp.BitwiseLeftShift, exp.BitwiseNot, exp.BitwiseOr,
        exp.BitwiseRightShift, exp.BitwiseXor, exp.Boolean, exp.Case, exp.DPipe, exp.Div, exp.EQ, exp.Escape,
        exp.Exists, exp.GT, exp.GTE, exp.ILike, exp.If, exp.Is, exp.JSONBContainsAllTopKeys,
        exp.JSONBContainsAnyTopKeys, exp.JSONBContainsTopKey, exp.JSONBExtract,
        exp.JSONBExtractScalar, exp.LT, exp.LTE, exp.Like, exp.Literal, exp.Mod, exp.Mul, exp.NEQ, exp.Neg, exp.Not,
        exp.Null, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Or, exp.Overlaps, exp.Paren, exp.Pow, exp.RegexpILike,
        exp.RegexpLike, exp.SimilarTo, exp.Sub, exp.Tuple, exp.Var,
    }
)  # fmt: skip

# What the nodes of operators are to PostgreSQL, which looks them up by these names; BETWEEN, IN, LIKE, USING and a CASE
# of a value are operators, too.
SYMBOLS: dict[type[exp.Expr], frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        exp.Add: "+", exp.Sub: "-", exp.Neg: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.Pow: "^",
        exp.DPipe: "||", exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.GT: ">", exp.LTE: "<=", exp.GTE: ">=",
        exp.NullSafeEQ: "=", exp.NullSafeNEQ: "=", exp.In: "= <>", exp.Join: "=", exp.Case: "=",
        exp.Between: "< > <= >=", exp.Like: "~~ !~~", exp.ILike: "~~* !~~*", exp.SimilarTo: "~ !~",
        exp.RegexpLike: "~ !~", exp.RegexpILike: "~* !~*", exp.BitwiseAnd: "&", exp.BitwiseOr: "|",
        exp.BitwiseXor: "#", exp.BitwiseNot: "~", exp.BitwiseLeftShift: "<<", exp.BitwiseRightShift: ">>",
        exp.ArrayContainsAll: "@>", exp.ArrayContainedBy: "<@", exp.ArrayOverlaps: "&&", exp.JSONExtract: "->",
        exp.JSONExtractScalar: "->>", exp.JSONBExtract: "#>", exp.JSONBExtractScalar: "#>>",
        exp.JSONBContainsTopKey: "?", exp.JSONBContainsAnyTopKeys: "?|", exp.JSONBContainsAllTopKeys: "?&",
    }.items()
}  # fmt: skip

# Functions by PostgreSQL's own names. None of them reads a file, a setting or a catalog, waits, locks, writes, or runs
# text as SQL. Those that make a value or rows by the number are bounded in `guard_growth.py`.
FUNCTIONS: frozenset[str] = frozenset(
    """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every grouping
    json_agg json_object_agg jsonb_agg jsonb_object_agg max min mode percentile_cont percentile_disc range_agg
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop
    stddev_samp string_agg sum var_pop var_samp variance

    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number

    abs acos acosh asin asinh atan atan2 atanh cbrt ceil ceiling cos cosh cot degrees div exp factorial floor gcd
    lcm ln log log10 min_scale mod pi power radians random round scale sign sin sinh sqrt tan tanh trim_scale trunc
    width_bucket

    ascii bit_length btrim char_length character_length chr concat concat_ws decode encode format initcap left
    length lower lpad ltrim md5 octet_length quote_ident quote_literal quote_nullable regexp_count regexp_instr
    regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr
    repeat replace reverse right rpad rtrim sha256 split_part starts_with string_to_array string_to_table strpos
    substr substring to_char to_date to_hex to_number to_timestamp translate upper

    age clock_timestamp date_bin date_part date_trunc isfinite justify_days justify_hours justify_interval make_date
    make_interval make_time make_timestamp make_timestamptz now statement_timestamp timezone transaction_timestamp

    all

    array coalesce current_time current_timestamp greatest least localtime localtimestamp nullif num_nonnulls
    num_nulls row

    array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions
    array_prepend array_remove array_replace array_to_string array_upper cardinality generate_series
    generate_subscripts unnest

    json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each
    json_each_text json_extract_path json_extract_path_text json_object_keys json_strip_nulls json_typeof
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_keys jsonb_path_exists
    jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_set jsonb_strip_nulls jsonb_typeof to_json
    to_jsonb

    bool date float4 float8 int2 int4 int8 text

    daterange int4range int8range isempty lower_inc lower_inf numrange tsrange tstzrange upper_inc upper_inf
    """.split()
)

# Casts to these types only, besides the enum and domain types that columns of the schema have. The reg* types look
# names up in the catalogs and are not among them.
TYPES: frozenset[exp.DType] = frozenset(
    {
        exp.DType.ARRAY, exp.DType.BIGINT, exp.DType.BIT, exp.DType.BOOLEAN, exp.DType.CHAR, exp.DType.DATE,
        exp.DType.DECIMAL, exp.DType.DOUBLE, exp.DType.FLOAT, exp.DType.INT, exp.DType.INTERVAL, exp.DType.JSON,
        exp.DType.JSONB, exp.DType.SMALLINT, exp.DType.TEXT, exp.DType.TIME, exp.DType.TIMESTAMP,
        exp.DType.TIMESTAMPTZ, exp.DType.TIMETZ, exp.DType.UUID, exp.DType.VARBINARY, exp.DType.VARCHAR,
        exp.DType.INET, exp.DType.DATERANGE, exp.DType.INT4RANGE, exp.DType.INT8RANGE, exp.DType.NUMRANGE,
        exp.DType.TSRANGE, exp.DType.TSTZRANGE, exp.DType.MONEY,
    }
)  # fmt: skip

# PostgreSQL 18's keywords that cannot stand unquoted wherever a name can (reserved, and the two half-reserved kinds).
# Source: https://www.postgresql.org/docs/current/sql-keywords-appendix.html
KEYWORDS: frozenset[str] = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast
    char character check coalesce collate collation column concurrently constraint create cross current_catalog
    current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable
    desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group
    grouping having ilike in initially inner inout int integer intersect interval into is isnull join json json_array
    json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
    lateral leading least left like limit localtime localtimestamp merge_action national natural nchar none normalize
    not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision
    primary real references returning right row select session_user setof similar smallint some substring symmetric
    system_user table tablesample then time timestamp to trailing treat trim true union unique user using values varchar
    variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces
    xmlparse xmlpi xmlroot xmlserialize xmltable
    """.split()
)
