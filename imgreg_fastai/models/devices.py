"""The device that a network works on."""
from ..utils.messages import ImgregError


def select_device(name: str) -> str:
    """The name of a torch device that is here: `name`; for auto, cuda where there is a CUDA GPU, else cpu.

    Raises:
        ImgregError: There is no such device here.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as e:
        raise ImgregError("--device auto, cpu, cuda or mps, present here", f"'{name}': {str(e).splitlines()[0]}") from e
    return name
