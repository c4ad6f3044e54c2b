-- The symbols that are kept from the start, an inactive one for trying the trigger, and their definitions.

insert into public.symbols (ticker, description, exchange) values
('AAPL', 'Apple Inc.', 'NASDAQ'),
('MSFT', 'Microsoft Corporation', 'NASDAQ'),
('NVDA', 'NVIDIA Corporation', 'NASDAQ'),
('GOOGL', 'Alphabet Inc. Class A', 'NASDAQ'),
('TSLA', 'Tesla, Inc.', 'NASDAQ'),
('AMD', 'Advanced Micro Devices, Inc.', 'NASDAQ'),
('META', 'Meta Platforms, Inc. Class A', 'NASDAQ'),
('NFLX', 'Netflix, Inc.', 'NASDAQ'),
('ADBE', 'Adobe Inc.', 'NASDAQ'),
('AMZN', 'Amazon.com, Inc.', 'NASDAQ'),
('CRM', 'Salesforce, Inc.', 'NYSE'),
('CSCO', 'Cisco Systems, Inc.', 'NASDAQ'),
('INTC', 'Intel Corporation', 'NASDAQ'),
('ORCL', 'Oracle Corporation', 'NYSE'),
('QCOM', 'QUALCOMM Incorporated', 'NASDAQ'),
('TXN', 'Texas Instruments Incorporated', 'NASDAQ'),
('AVGO', 'Broadcom Inc.', 'NASDAQ'),
('MU', 'Micron Technology, Inc.', 'NASDAQ'),
('AMAT', 'Applied Materials, Inc.', 'NASDAQ'),
('LRCX', 'Lam Research Corporation', 'NASDAQ')
on conflict (ticker) do nothing;

insert into public.symbols (ticker, description, active) values
('TEST', 'Inactive symbol for trying the trigger; nothing is fetched for it', false)
on conflict (ticker) do nothing;

insert into public.job_definitions (symbol, timeframe, job_type, window_days, priority, base_priority)
select s.ticker, f.timeframe, barkeep.job_type(f.timeframe), barkeep.window_days(f.timeframe), f.base, f.base
from public.symbols s
cross join (values ('h1', 200), ('h4', 150), ('m15', 100)) as f (timeframe, base)
where s.ticker = any (
    '{AAPL,MSFT,NVDA,GOOGL,TSLA,AMD,META,NFLX,ADBE,AMZN,CRM,CSCO,INTC,ORCL,QCOM,TXN,AVGO,MU,AMAT,LRCX}'::text[]
)
on conflict (symbol, timeframe, job_type) do nothing;
