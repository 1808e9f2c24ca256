"""From events to executions: a pure fold of the journal, with no clock, no disk and no Dagster in it."""
