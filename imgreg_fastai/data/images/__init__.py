"""Images: finding their files, reading their headers, and opening them as the network sees them."""
from .files import File, ImageHeader, PictureError, Source, read_header
from .finding import find_images, list_images
from .formats import SUFFIXES
from .loading import (
    GREY,
    FittedImage,
    HeaderView,
    describe_broken,
    fit,
    fit_images,
    image_views,
    known_views,
    load_image,
    map_ahead,
    open_picture,
    warn_broken,
)
from .unused import Unused, warn_unused
