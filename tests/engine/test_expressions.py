import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ExpressionError, ShapeError, UnknownExpressionTag
from engine.expressions import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, Expression, as_reference

COLUMNS = {
    "a": np.array([1.0, -2.5, 0.0, np.nan, 1e300]),
    "b": np.array([3.0, 0.0, -1.0, 2.0, 1e300]),
    "Coal Flow (t/h)": np.array([10.0, 20.0, 30.0, 40.0, 50.0]),
    "给煤量": np.array([0.5, 1.5, 2.5, 3.5, -4.5]),
}


def value(text, **columns):
    return Expression.parse(text).evaluate({tag: np.asarray(column) for tag, column in columns.items()})


# What an expression is worth


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 4 - 3", 3.0),
        ("24 / 4 / 2", 3.0),
        ("2 ** 3 ** 2", 512.0),
        ("-2 ** 2", -4.0),
        ("(-2) ** 2", 4.0),
        ("2 ** -1", 0.5),
        ("2 * -3", -6.0),
        ("- - +4", 4.0),
        ("1.5e-3 * 1E3 + .5 + 2.", 4.0),
        ("abs(-3) + sqrt(16) + log10(1000)", 10.0),
        ("log(exp(2))", 2.0),
        ("min(3, 1, 2) + max(3, 1, 2) * 10", 31.0),
        ("mean(1, 2, 6)", 3.0),
    ],
)
def test_arithmetic_has_the_usual_precedence(text, expected):
    assert value(text) == pytest.approx(expected, rel=1e-15)


def test_an_expression_is_computed_for_every_row():
    ssc = value("`1FWS-STMFLW-A` / load", **{"1FWS-STMFLW-A": [1200.0, 900.0]}, load=[200.0, 150.0])

    np.testing.assert_array_equal(ssc, [6.0, 6.0])
    assert ssc.dtype == np.float64


def test_tags_are_listed_once_in_order_of_first_use():
    expression = Expression.parse("`Coal Flow (t/h)` / 给煤量 + max(b, `Coal Flow (t/h)`) - `b`")

    assert expression.tags == ("Coal Flow (t/h)", "给煤量", "b")


def test_the_text_comes_back_as_it_was_written():
    text = " mean( BA2054 ,`BA 2554` )\n"

    again = Expression.parse(Expression.parse(text).text)

    assert again.text == text
    assert again == Expression.parse(text)


def test_division_by_zero_and_domain_errors_follow_ieee_without_a_warning():
    with np.errstate(all="raise"):
        got = value("max(1 / x, -9) + 0 * sqrt(x) + 0 * log(x)", x=[-1.0, 0.0, 1.0, np.nan])
        powers = value("x ** 0.5", x=[-1.0, 4.0])
        huge = value("exp(x)", x=[1e6])

    np.testing.assert_array_equal(got, [np.nan, np.nan, 1.0, np.nan])
    np.testing.assert_array_equal(powers, [np.nan, 2.0])
    np.testing.assert_array_equal(huge, [np.inf])
    np.testing.assert_array_equal(value("1 / x", x=[0.0, -0.0]), [np.inf, -np.inf])


def test_a_missing_value_stays_missing_in_min_max_and_mean():
    for function in ("min", "max", "mean"):
        assert np.isnan(value(f"{function}(x, 1)", x=[np.nan])).all()


def test_a_constant_takes_the_shape_of_the_columns():
    assert value("2 * 3", load=[1.0, 2.0, 3.0]).tolist() == [6.0, 6.0, 6.0]
    assert value("2 * 3").shape == ()


def test_the_result_is_never_the_column_itself():
    column = np.array([1.0, 2.0])

    result = Expression.parse("a").evaluate({"a": column})
    result[0] = 99.0

    assert column[0] == 1.0


def test_a_row_gives_the_same_bits_alone_in_a_population_and_in_strided_memory():
    rows = np.random.default_rng(3).uniform(0.1, 9.0, size=(257, 2))
    expression = Expression.parse("exp(a) ** 0.3 + log(b) * a")

    together = expression.evaluate({"a": rows[:, 0], "b": rows[:, 1]})
    alone = [expression.evaluate({"a": row[:1], "b": row[1:]})[0] for row in rows]

    np.testing.assert_array_equal(together, alone)


def test_integer_and_boolean_columns_are_numbers():
    got = Expression.parse("n / 2 + on").evaluate({"n": np.array([1, 2]), "on": np.array([True, False])})

    assert got.tolist() == [1.5, 1.0]


def test_a_long_sum_needs_no_depth():
    assert value("+".join(["1"] * 1500)) == 1500.0


# How a tag is written


@pytest.mark.parametrize(
    ("tag", "written"),
    [
        ("load", "load"),
        ("_x1", "_x1"),
        ("给煤量", "给煤量"),
        ("1JT66801S", "`1JT66801S`"),
        ("1FWS-STMFLW-A", "`1FWS-STMFLW-A`"),
        ("Coal Flow (t/h)", "`Coal Flow (t/h)`"),
        ("Flue gas temperature (℃)", "`Flue gas temperature (℃)`"),
        ("mean", "`mean`"),
        ("O2 in APH\n(%)", "`O2 in APH\n(%)`"),
    ],
)
def test_a_tag_is_written_in_backticks_where_needed(tag, written):
    assert as_reference(tag) == written
    assert Expression.parse(written).tags == (tag,)


@given(st.text(min_size=1).filter(lambda tag: "`" not in tag))
def test_every_tag_without_a_backtick_can_be_referred_to(tag):
    assert Expression.parse(f"1 + {as_reference(tag)} * 2").tags == (tag,)


@pytest.mark.parametrize("tag", ["", "a`b"])
def test_a_tag_that_no_expression_can_hold_is_refused(tag):
    with pytest.raises(ExpressionError):
        as_reference(tag)


# What is refused, and how


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 1, "empty"),
        ("   ", 4, "empty"),
        ("a + ", 5, "found the end where a number, a tag, a function or '('"),
        ("a + * b", 5, "found '*'"),
        ("(a + b", 7, "found the end where ')'"),
        ("a + b)", 6, "found ')' where an operator or the end"),
        ("Coal Flow (t/h)", 6, "backticks"),
        ("1FWS / load", 2, "backticks"),
        ("a `b`", 3, "found `b`"),
        ("a ^ 2", 3, "a power is written **"),
        ("a = 2", 3, "compares nothing"),
        ("a; b", 2, "';'"),
        ("`a + b", 1, "closing backtick"),
        ("1 + `` ", 5, "no tag between"),
        ("min", 4, "min is a function"),
        ("sqrt(1, 2)", 1, "sqrt takes one value, but got 2"),
        ("1 + mean(a)", 5, "two or more values of the same row"),
        ("max()", 5, "found ')'"),
        ("1e999", 1, "too large"),
        ("__import__('os')", 11, "found '('"),
        ("a.b", 2, "'.'"),
        ("a[0]", 2, "'['"),
        ("'a'", 1, '"\'"'),
    ],
)
def test_a_refusal_says_where_and_what_was_expected(text, position, says):
    with pytest.raises(ExpressionError) as refusal:
        Expression.parse(text)

    assert refusal.value.details["position"] == position
    assert refusal.value.details["expected"]
    assert says in str(refusal.value)
    assert f"at character {position}" in str(refusal.value)


def test_a_refusal_shows_the_place_and_not_a_whole_long_text():
    with pytest.raises(ExpressionError) as refusal:
        Expression.parse("+".join(["load"] * 200) + " $ 1")

    assert "load ▸$ 1" in str(refusal.value)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    "text",
    ["(" * 60 + "a" + ")" * 60, "-" * 60 + "a", "**".join(["a"] * 60), "abs(" * 60 + "a" + ")" * 60],
    ids=["parentheses", "signs", "powers", "calls"],
)
def test_nesting_has_a_limit(text):
    with pytest.raises(ExpressionError, match=f"more than {MAX_DEPTH} levels"):
        Expression.parse(text)


def test_length_has_a_limit():
    with pytest.raises(ExpressionError, match=f"more than {MAX_LENGTH}"):
        Expression.parse("1" * (MAX_LENGTH + 1))


def test_nesting_up_to_the_limit_is_computed():
    assert value("(" * MAX_DEPTH + "7" + ")" * MAX_DEPTH) == 7.0


def test_only_text_is_an_expression():
    with pytest.raises(ExpressionError, match="int was given"):
        Expression.parse(3)


@given(st.text(alphabet="a1. `()+-*/,min^é\n", max_size=40))
def test_any_text_is_read_or_refused_cleanly(text):
    try:
        expression = Expression.parse(text)
    except ExpressionError as error:
        refusal = error
    else:
        refusal = None
        expression.evaluate({tag: np.array([1.0]) for tag in expression.tags})

    assert refusal is None or 1 <= refusal.details["position"] <= len(text) + 1


def test_a_tag_without_a_column_is_named():
    with pytest.raises(UnknownExpressionTag, match="`Coal Flow`") as refusal:
        value("`Coal Flow` / load", load=[1.0])

    assert refusal.value.details["tag"] == "Coal Flow"


def test_text_cannot_be_computed_with():
    with pytest.raises(ExpressionError, match="`grade` cannot be computed with"):
        value("grade * 2", grade=["low", "high"])


def test_columns_of_different_length_are_refused():
    with pytest.raises(ShapeError, match=r"a \(2,\), b \(3,\)"):
        value("a + b", a=[1.0, 2.0], b=[1.0, 2.0, 3.0])


# A second way to the answer: trees are made at random, computed here with NumPy and written down with no more
# parentheses than the usual rules need. The engine reads the text and must come to the same bits.

ATOM, POWER, SIGNED, PRODUCT, SUM = range(5)
UNARY = {"abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10}
BINARY = {
    "+": (np.add, SUM, SUM, PRODUCT),  # how it is computed; its rule; the loosest rule left and right of it
    "-": (np.subtract, SUM, SUM, PRODUCT),
    "*": (np.multiply, PRODUCT, PRODUCT, SIGNED),
    "/": (np.divide, PRODUCT, PRODUCT, SIGNED),
    "**": (np.power, POWER, ATOM, SIGNED),
}


def in_parentheses(node, loosest):
    text, rule, _ = node
    return text if rule <= loosest else f"({text})"


def binary(space, operator, left, right):
    compute, rule, left_rule, right_rule = BINARY[operator]
    text = f"{in_parentheses(left, left_rule)}{space}{operator}{space}{in_parentheses(right, right_rule)}"
    return text, rule, compute(left[2], right[2])


def several(name, nodes):
    values = np.broadcast_arrays(*[node[2] for node in nodes])
    computed = {"min": np.minimum.reduce, "max": np.maximum.reduce}.get(name)
    result = computed(values) if computed else sum(values[1:], values[0]) / len(values)
    return f"{name}({', '.join(node[0] for node in nodes)})", ATOM, result


numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False).map(
    lambda number: (repr(number), ATOM, np.float64(number))
)
tags = st.sampled_from(sorted(COLUMNS)).map(lambda tag: (as_reference(tag), ATOM, COLUMNS[tag]))
nodes = st.recursive(
    numbers | tags,
    lambda inner: (
        st.builds(binary, st.sampled_from(["", " "]), st.sampled_from(sorted(BINARY)), inner, inner)
        | inner.map(lambda node: ("-" + in_parentheses(node, SIGNED), SIGNED, np.negative(node[2])))
        | st.builds(
            lambda name, node: (f"{name}({node[0]})", ATOM, UNARY[name](node[2])),
            st.sampled_from(sorted(UNARY)),
            inner,
        )
        | st.builds(several, st.sampled_from(["min", "max", "mean"]), st.lists(inner, min_size=2, max_size=4))
    ),
    max_leaves=12,
)


@pytest.fixture(autouse=True, scope="module")
def _quiet_oracle():
    with np.errstate(all="ignore"):
        yield


@given(nodes)
def test_a_written_tree_is_worth_what_the_tree_is_worth(node):
    text, _, expected = node

    got = Expression.parse(text).evaluate(COLUMNS)

    np.testing.assert_array_equal(got, np.broadcast_to(expected, (5,)))


def test_every_function_is_known_to_the_oracle():
    assert {*UNARY, "min", "max", "mean"} == set(FUNCTIONS)
