"""SET, RESET and SHOW of settings that only Redshift has: they are kept, and change nothing."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement, words

TRIGGERS = frozenset({"set", "reset", "show"})
_PREFIX = "redshift."  # PostgreSQL takes any setting with a dot in its name
REDSHIFT_SETTINGS = words(
    """
    activate_aqua analyze_threshold_percent auto_analyze cast_super_null_on_error datashare_break_glass_session_var
    default_geometry_encoding describe_field_name_in_uppercase downcase_delimited_identifier
    enable_case_sensitive_identifier enable_case_sensitive_super_attribute enable_numeric_rounding
    enable_result_cache_for_session enable_vacuum_boost error_on_nondeterministic_update json_serialization_enable
    json_serialization_parse_nested_strings max_concurrency_scaling_clusters max_cursor_result_set_size
    mv_enable_aqmv_for_session navigate_super_null_on_error parse_super_null_on_error pg_federation_repeatable_read
    query_group show_discovery_version spectrum_enable_pseudo_columns spectrum_query_maxerror
    stored_proc_log_min_messages use_fips_ssl wlm_json_configuration wlm_query_slot_count
    """
)


def edits(statement: Statement) -> Iterator[Edit]:
    """Put the setting's name under a prefix of our own."""
    if statement.word(0) not in TRIGGERS:
        return
    index = 2 if statement.word(1) in ("session", "local") else 1
    if statement.word(index) in REDSHIFT_SETTINGS:
        yield statement.before(index, _PREFIX)
