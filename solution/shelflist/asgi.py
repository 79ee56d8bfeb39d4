"""What the development server loads."""

from shelflist.shared.logs import configure
from shelflist.shared.settings import settings
from shelflist.web import create_app

configure(settings())
app = create_app(settings())
