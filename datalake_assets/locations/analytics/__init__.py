"""The dbt project's models: questions answered from the warehouse tables of all accounts."""
