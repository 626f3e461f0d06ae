"""Images: finding their files, reading their headers, and opening them as the network sees them."""
from .files import SUFFIXES, File, ImageHeader, PictureError, Source, find_images, list_images, read_header
from .loading import (
    GREY,
    FittedImage,
    fit,
    fit_images,
    image_views,
    known_views,
    load_image,
    map_ahead,
    open_picture,
    warn_broken,
)
