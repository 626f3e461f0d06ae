"""The automatic recipe as data: which settings fit which images."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.config import TrainConfig
from imgreg_fastai.training import recipe
from imgreg_fastai.training.recipe import DataFacts, choose_recipe

FACTS = DataFacts(n_images=100, shown=(120.0, 120.0), pretrained=False)


def test_the_table_has_a_row_for_every_number_of_images_and_its_settings_are_valid():
    for pretrained in (False, True):
        mosts = [row.most_images for row in recipe.TABLE if row.pretrained == pretrained]
        assert mosts == sorted(mosts) and mosts[-1] == float("inf")
    for row in recipe.TABLE:
        assert row.reason and TrainConfig(**row.settings)
        assert ("body_lr" in row.settings) == row.pretrained, "without weights all layers learn at one rate"


@given(st.integers(1, 10**7), st.floats(8, 10_000), st.floats(8, 10_000), st.booleans(), st.booleans())
def test_any_data_get_a_recipe_that_a_network_can_use(n, height, width, pretrained, on_gpu):
    found = choose_recipe(DataFacts(n, (height, width), pretrained, on_gpu))
    assert 1 <= found.settings["epochs"] <= found.most_epochs
    assert all(side % recipe.STEP == 0 and side >= 32 for side in found.size)


def test_images_are_not_enlarged_beyond_their_own_size():
    assert choose_recipe(FACTS._replace(shown=(70, 70))).size == (64, 64)
    assert choose_recipe(FACTS._replace(shown=(20, 20))).size == (64, 64), "the smallest side that networks are fit for"
    large, huge = (choose_recipe(FACTS._replace(shown=(side, side))).size for side in (500, 3000))
    assert large == huge


def test_the_size_has_the_proportions_of_the_images():
    height, width = choose_recipe(FACTS._replace(shown=(480, 640))).size
    assert 0.65 < height / width < 0.85
    height, width = choose_recipe(FACTS._replace(shown=(500, 520))).size
    assert height == width


def test_more_images_get_fewer_epochs_and_on_a_processor_smaller_ones():
    facts = DataFacts(2000, (500, 500), pretrained=True)
    few, many = choose_recipe(facts), choose_recipe(facts._replace(n_images=20_000))
    assert many.settings["epochs"] < few.settings["epochs"] and many.size < few.size
    assert choose_recipe(facts._replace(n_images=20_000, minutes=None)).size == few.size, "the user decides on the time"
    assert min(choose_recipe(facts._replace(n_images=10**6)).size) == recipe.LEAST_SIDE

    assert choose_recipe(facts._replace(n_images=20_000, on_gpu=True)).size == few.size


def test_images_of_points_are_larger_where_there_is_time_and_as_large_as_others_where_there_is_not():
    facts = DataFacts(900, (300, 300), pretrained=True)
    points = facts._replace(has_points=True)
    assert choose_recipe(facts).size == (128, 128) and choose_recipe(points).size == (160, 160)
    assert choose_recipe(points._replace(minutes=15)).size == (192, 192)
    assert choose_recipe(points._replace(minutes=3)).size == (128, 128)
    assert choose_recipe(points._replace(shown=(150, 150))).size == (160, 160), "not enlarged beyond their own size"
    assert choose_recipe(points._replace(pretrained=False)).size == choose_recipe(facts._replace(pretrained=False)).size


@pytest.mark.parametrize("pretrained", [False, True])
def test_one_image_more_does_not_change_much(pretrained):
    few, many = (choose_recipe(DataFacts(n, (200, 200), pretrained)) for n in (1000, 1001))
    assert few.most_epochs == many.most_epochs


def test_the_epochs_of_two_cores_fit_the_time():
    facts = DataFacts(5000, (500, 500), pretrained=True)
    found = choose_recipe(facts)
    seconds = found.settings["epochs"] * facts.n_images * found.size[0] * found.size[1] / recipe.PIXELS_PER_SECOND
    assert seconds <= 60 * recipe.MINUTES


@pytest.mark.parametrize("pretrained", [False, True])
def test_weights_decide_on_the_backbone(pretrained):
    arch = choose_recipe(FACTS._replace(pretrained=pretrained)).settings["arch"]
    assert arch == ("resnet18" if pretrained else "resnet10t")


def test_a_batch_is_never_larger_than_the_training_part():
    assert choose_recipe(FACTS._replace(n_images=12)).settings["bs"] == 12


@pytest.mark.parametrize(("settings", "decisions", "option"), [
    ({"epochs": 4}, {"most_epochs": 60}, "--epochs 60"),  # the user cut it short
    ({"epochs": 4}, {"most_epochs": 60, "epochs": 4}, "--epochs 8"),  # there was time for no more
    ({"epochs": 50}, {"most_epochs": 60}, "--epochs 100"), ({"epochs": 8}, {}, "--epochs 16"),
    ({"time": 90.0}, {"most_epochs": 60}, "--time 3m"),
    ({"time": 60.0, "folds": 4, "fold": 2}, {}, "--time 8m"),
])
def test_a_longer_training_goes_by_the_recipe(settings, decisions, option):
    assert recipe.longer_training(TrainConfig(**settings), decisions) == option
