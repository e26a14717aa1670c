"""ReDegNet's two chains as drawn against the published code's numbers, written out here."""

import math

from laws import alike, drawn, happens, not_antialiased, ops, uniform


def test_the_simple_chain_of_redegnet() -> None:
    """Steps of 0.1 in sigma and factor are drawn as ranges, with the same ends."""
    chains = drawn("redegnet-simple", 4)
    orders = [ops(steps) for steps in chains]
    assert all(order.endswith("z") for order in orders)
    for index, share in ((0, 0.8), (1, 0.8), (2, 0.9), (3, 0.9)):
        letter = "bznj"[index]
        assert happens([letter in order[:-1] for order in orders], share)
    assert all([*order[:-1]] == sorted(order[:-1], key="bznj".index) for order in orders)
    every = [step for steps in chains for step in steps[:-1]]
    by_op = {op: [step for step in every if step["op"] == op] for op in ("blur", "noise", "jpeg")}
    assert alike([step["size"] for step in by_op["blur"]], [*range(7, 32, 2)])
    assert uniform([step["sigma"] for step in by_op["blur"]], 0.3, 1.3)
    assert uniform([255 * step["sigma"] for step in by_op["noise"]], 3, 24)
    assert not any(step.get("gray") for step in by_op["noise"])
    assert alike([step["quality"] for step in by_op["jpeg"]], [*range(30, 81)])
    down = [step for step in every if step["op"] == "resize"]
    assert uniform([1 / step["factor"] for step in down], 2, 6)
    for some in (down, [steps[-1] for steps in chains]):
        assert alike([step["filter"] for step in some], ["bilinear", "bicubic", "lanczos"])
        assert not_antialiased(some)
    assert {steps[-1]["of"] for steps in chains} == {"hq"}


def test_the_shared_degradation_of_redegnet() -> None:
    chains = drawn("redegnet-same", 4)
    # After sampling every n-th pixel the restored image is moved back by half of n - 1.
    moved = [steps.pop() if steps[-1]["op"] == "blur" else {"shift": 0} for steps in chains]
    assert all(step.get("sigma", 0) == 0 and step.get("size", 7) == 7 for step in moved)
    orders = [ops(steps) for steps in chains]
    assert {(steps[-1]["op"], steps[-1]["of"]) for steps in chains} == {("resize", "hq")}
    assert alike([steps[-1]["filter"] for steps in chains], ["bilinear", "bicubic"])

    every = [step for steps in chains for step in steps[:-1]]
    blurs = [[step for step in steps if step["op"] == "blur"] for steps in chains]
    kinds = ["".join("t" if "sigma_y" in step else "r" for step in some) for some in blurs]
    assert alike(kinds, ["r", "t", "rt", ""], [0.25, 0.35, 0.2, 0.2])
    both = [step for some in blurs for step in some]
    assert alike([step["size"] for step in both], [*range(5, 18, 2)])
    turned = [step for step in both if "sigma_y" in step]
    assert uniform([step["sigma"] for step in both if "sigma_y" not in step], 0.1, 2.8)
    assert uniform([step["sigma"] for step in turned], 0.5, 8)
    assert uniform([step["sigma_y"] for step in turned], 0.5, 8)
    assert uniform([step["theta"] for step in turned], 0, math.pi)

    assert all(order[:-1].count("z") == 1 for order in orders)
    down = [step for step in every if step["op"] == "resize"]
    assert alike(
        [step["filter"] for step in down], ["bicubic", "bilinear", "nearest"], [0.5, 0.4, 0.1]
    )
    wide = [step for step in down if step["filter"] != "nearest"]
    assert uniform([1 / step["factor"] for step in wide], 2, 6)
    sampled = [round(1 / s["factor"], 4) if s["filter"] == "nearest" else 1 for s in down]
    assert alike(sampled, [1, 2, 4, 6], [0.9, 0.1 / 3, 0.1 / 3, 0.1 / 3])
    assert [step["shift"] for step in moved] == [(n - 1) / 2 for n in sampled]

    noises = [step for step in every if step["op"] == "noise"]
    assert happens(["n" in order for order in orders], 0.7)
    assert uniform([255 * step["sigma"] for step in noises], 1, 19)
    assert alike([order.count("j") for order in orders], [0, 1, 2], [0.15, 0.5, 0.35])
    assert happens([order[-2] == "j" and order[:-2].count("j") == 1 for order in orders], 0.35)
    jpegs = [step for step in every if step["op"] == "jpeg"]
    assert alike([step["quality"] for step in jpegs], [*range(30, 86)])
