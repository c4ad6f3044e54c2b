//! One request's pages, requested one after the other.
//!
//! In: a [`BarsRequest`]. Out: its [`Page`]s. Holds: if the plan turns out to delay the newest minutes, the range is
//! cut and requested once more, and that is remembered; after an error nothing more is sent.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use market::{AssetClass, Range};

use super::{
    AlpacaSource,
    failures::Failure,
    paging::{Added, Pages},
    wire::{self, BarsPage, ROWS_PER_PAGE},
};
use crate::{
    BarPages, BarsRequest, FetchError, Page,
    http::{PATIENCE_BETWEEN_PAGES, RequestSpec},
};

/// The state of one request.
pub(super) struct AlpacaPages<'a> {
    source: &'a AlpacaSource,
    request: &'a BarsRequest,
    stage: Stage,
    spent: u32,
}

enum Stage {
    /// Nothing was requested yet.
    New,
    /// The range that the plan supplies, and the position in it; `None` before its first page.
    Under {
        range: Range,
        pages: Box<Pages>,
        token: Option<String>,
    },
    Ended,
}

impl<'a> AlpacaPages<'a> {
    pub(super) fn new(source: &'a AlpacaSource, request: &'a BarsRequest) -> Self {
        Self { source, request, stage: Stage::New, spent: 0 }
    }

    fn begin(&mut self, range: Range) {
        let pages = Box::new(Pages::new(&self.request.tickers, self.request.timeframe, range));
        self.stage = Stage::Under { range, pages, token: None };
    }

    /// The first page, with the range cut to what the plan supplies.
    async fn first(&mut self) -> Result<Page, FetchError> {
        self.source.check(self.request)?;
        let class = self.request.asset_class;
        if !self.source.is_held_back(class) {
            self.begin(self.request.range);
            match self.ask().await {
                Err(Failure::RecentSip) => self.source.held_back.store(true, Ordering::Relaxed),
                Err(Failure::Fetch(error)) => return Err(error),
                Ok(page) => return Ok(page),
            }
            tracing::info!(provider = self.source.http.provider, "This plan delays stock bars by 15 minutes");
        }
        match self.source.available_range(self.request.range) {
            None => {
                self.stage = Stage::Ended;
                Ok(Page {
                    bars: BTreeMap::new(),
                    complete: self.request.tickers.clone(),
                    answered: None,
                    provenance: self.source.provenance(class),
                })
            }
            // Just refused without a cut.
            Some(range) if range == self.request.range && self.spent > 0 => Err(self.too_recent()),
            Some(range) => {
                self.begin(range);
                self.ask().await.map_err(|failure| self.fetch_error(failure))
            }
        }
    }

    /// The next page.
    async fn ask(&mut self) -> Result<Page, Failure> {
        let Stage::Under { range, pages, token } = &mut self.stage else {
            return Err(self.source.bad_data("a page after the last").into());
        };
        let (source, request) = (self.source, self.request);
        let mut url = source.url(&source.data_url, wire::bars_path(request.asset_class))?;
        let (start, end) = wire::inclusive(*range);
        url.query_pairs_mut()
            .append_pair("symbols", &pages.symbols())
            .append_pair("timeframe", wire::timeframe(request.timeframe))
            .append_pair("start", &start)
            .append_pair("end", &end)
            .append_pair("limit", &ROWS_PER_PAGE.to_string())
            .append_pair("sort", "asc");
        if request.asset_class == AssetClass::Stock {
            url.query_pairs_mut().append_pair("adjustment", "raw").append_pair("feed", source.feed.as_str());
        }
        let patience = match token {
            Some(token) => {
                url.query_pairs_mut().append_pair("page_token", token);
                PATIENCE_BETWEEN_PAGES
            }
            None => Duration::ZERO,
        };
        let spec =
            RequestSpec { url, budget: Some(&source.budget), urgency: request.urgency, patience, with_keys: true };
        let answer = source.http.get(spec, &mut self.spent).await?;
        source.learn_limit(&answer.headers);
        let page: BarsPage = source.read(answer, &request.tickers)?;
        let added = pages.add(page).map_err(|problem| source.bad_data(&problem))?;
        let answered = Some(*range);
        let Added { bars, complete, token: next } = added;
        match next {
            Some(next) => *token = Some(next),
            None => self.stage = Stage::Ended,
        }
        Ok(Page { bars, complete, answered, provenance: source.provenance(request.asset_class) })
    }

    fn fetch_error(&self, failure: Failure) -> FetchError {
        match failure {
            Failure::RecentSip => self.too_recent(),
            Failure::Fetch(error) => error,
        }
    }

    fn too_recent(&self) -> FetchError {
        FetchError::Server {
            provider: self.source.http.provider.clone(),
            status: 403,
            message: "bars that ended 16 minutes ago are rejected as too recent: check this machine's clock".to_owned(),
        }
    }
}

#[async_trait::async_trait]
impl BarPages for AlpacaPages<'_> {
    async fn next(&mut self) -> Result<Option<Page>, FetchError> {
        let page = match self.stage {
            Stage::Ended => return Ok(None),
            Stage::New => self.first().await,
            Stage::Under { .. } => self.ask().await.map_err(|failure| self.fetch_error(failure)),
        };
        if page.is_err() {
            self.stage = Stage::Ended;
        }
        page.map(Some)
    }

    fn requests(&self) -> u32 {
        self.spent
    }
}
