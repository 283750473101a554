from tests.site.collected import collected_static_files

__all__ = ["collected_static_files"]
