"""The device that a network works on."""
from ..utils.errors import ImgregError


def select_device(name: str):
    """Return the torch.device called `name`; auto is a CUDA GPU where there is one.

    Raises:
        ImgregError: There is no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as e:
        raise ImgregError("--device auto, cpu, cuda or mps, present here", f"'{name}': {str(e).splitlines()[0]}") from e
    return torch.device(name)
