"""Admin pages for rows that consumers write: to read, not to edit, and quick on millions of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from consumers.admin.paging import EstimatedCountPaginator
from consumers.admin.readonly import LookOnly

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class LargeTableAdmin(ModelAdmin):
    """No unbounded count(*), no counts beside filters, and a search that only an index answers.

    Set `exact_search` to the fields to look up by, each of them the first column of an index. A term is compared as a
    whole; where it cannot be a value of a field (letters for a number), that field is left out.
    """

    paginator = EstimatedCountPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    exact_search: ClassVar[tuple[str, ...]] = ()

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return self.exact_search  # makes the search box appear

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        # Field by field, not joined by OR: each look-up is then served by its own index.
        for name in self.exact_search:
            found = self._equal(queryset, name, term)
            if found is not None and found.order_by().exists():
                return found, False
        return queryset.none(), False

    def _equal(self, queryset: QuerySet[Any], name: str, term: str) -> QuerySet[Any] | None:
        """The rows whose field has that value; None if the field can never have it."""
        field = self.model._meta.get_field(name)
        try:
            value = field.target_field.clean(term, None) if field.is_relation else field.to_python(term)
        except ValidationError:
            return None
        return None if "\0" in term else queryset.filter(**{name: value})


class IngestedAdmin(LookOnly, LargeTableAdmin):
    """Written by a consumer only: a row typed in by hand would have no record behind it."""
