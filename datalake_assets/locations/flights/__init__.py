"""Flights that left New York in 2013, with their weather: CSV files to the lake and to Redshift."""
