from tests.site.collected import collected_static_files
from tests.site.every_page import pages, purchase

__all__ = ["collected_static_files", "pages", "purchase"]
