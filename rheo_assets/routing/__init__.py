"""From events to executions: a pure replay of the journal, without a clock, a disk or Dagster."""
