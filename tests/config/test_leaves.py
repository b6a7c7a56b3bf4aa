from gan.config.leaves import leaves


def test_values_have_their_full_keys_and_a_list_of_plain_values_is_one():
    config = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}, 3, [{"f": "x"}]], "g": {}}
    assert dict(leaves(config)) == {"a.b": 1, "a.c": [1, 2], "d.0.e": None, "d.1": 3, "d.2.0.f": "x"}
    assert list(leaves(config["a"], "model", "/")) == [("model/b", 1), ("model/c", [1, 2])]
    assert list(leaves([{"a": 1}])) == [("0.a", 1)]
