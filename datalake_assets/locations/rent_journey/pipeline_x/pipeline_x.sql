-- Each day of the week that ends on $partition by city, then the day itself beside the mean of its week.
WITH live AS (
    SELECT dt, city, count(*) AS live_listings
    FROM core_data.listings
    GROUP BY dt, city
),

searched AS (
    SELECT dt, city, count(*) AS searches, count(DISTINCT user_id) AS searchers
    FROM search.searches
    WHERE city IS NOT NULL  -- a search of the whole country
    GROUP BY dt, city
),

-- A day that one of both tables lacks says nothing; a city that nobody searched for has no searches.
daily AS (
    SELECT
        live.dt,
        live.city,
        live.live_listings,
        coalesce(searched.searches, 0) AS searches,
        coalesce(searched.searchers, 0) AS searchers,
        coalesce(searched.searches, 0) / live.live_listings AS searches_per_listing
    FROM live
    LEFT JOIN searched ON searched.dt = live.dt AND searched.city = live.city
    WHERE live.dt IN (SELECT dt FROM searched)
),

week AS (
    SELECT city, avg(searches_per_listing) AS searches_per_listing, count(*) AS days
    FROM daily
    GROUP BY city
)

SELECT
    daily.city,
    daily.live_listings,
    daily.searches,
    daily.searchers,
    round(daily.searches_per_listing, 3) AS searches_per_listing,
    round(week.searches_per_listing, 3) AS searches_per_listing_7_days,
    CASE
        WHEN week.days > 1 AND week.searches_per_listing > 0
            THEN round(100 * (daily.searches_per_listing / week.searches_per_listing - 1), 1)
    END AS trend_percent,
    week.days AS days_in_trend
FROM daily
INNER JOIN week ON week.city = daily.city
WHERE daily.dt = $partition
