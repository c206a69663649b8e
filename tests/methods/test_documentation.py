from docs.generate_methods import PAGE, page


def test_the_table_of_methods_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.generate_methods"
