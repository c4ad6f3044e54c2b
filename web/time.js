// Formats instants in the chosen time zone: the exchange's, UTC or local.
// Bars keep their UTC times; only the labels change, so the repeated hour in autumn stays two hours.

const CHOICES = ["exchange", "utc", "local"];

/** "exchange", "utc" or "local". */
export function zoneChoice() {
    const stored = localStorage.getItem("zone");
    return CHOICES.includes(stored) ? stored : "exchange";
}

export function setZoneChoice(zone) {
    localStorage.setItem("zone", zone);
    document.body.dispatchEvent(new CustomEvent("barkeep:zone"));
}

/** The time zone's name for Intl; undefined is the local one. */
export function zone(exchange) {
    return { exchange, utc: "UTC", local: undefined }[zoneChoice()];
}

const formats = new Map();

function format(timeZone, options) {
    const key = JSON.stringify([timeZone, options]);
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-CA", { timeZone, hourCycle: "h23", ...options }));
    return formats.get(key);
}

function parts(secs, timeZone, options) {
    return Object.fromEntries(format(timeZone, options).formatToParts(secs * 1000).map(part => [part.type, part.value]));
}

export function date(secs, timeZone) {
    const p = parts(secs, timeZone, { year: "numeric", month: "2-digit", day: "2-digit" });
    return `${p.year}-${p.month}-${p.day}`;
}

export function clock(secs, timeZone) {
    const p = parts(secs, timeZone, { hour: "2-digit", minute: "2-digit" });
    return `${p.hour}:${p.minute}`;
}

/** With the abbreviation of the offset, which distinguishes the repeated hour in autumn: 01:30 EDT, 01:30 EST. */
export function full(secs, timeZone) {
    const name = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "short" })
        .formatToParts(secs * 1000).find(part => part.type === "timeZoneName")?.value ?? "";
    return `${date(secs, timeZone)} ${clock(secs, timeZone)} ${name}`;
}

export function month(secs, timeZone) {
    return format(timeZone, { month: "short" }).format(secs * 1000);
}

export function year(secs, timeZone) {
    return parts(secs, timeZone, { year: "numeric" }).year;
}

/** Formats all <time> elements within `root`. */
export function renderTimes(root) {
    const timeZone = zone(document.getElementById("chart-page")?.dataset.zone ?? "America/New_York");
    for (const element of root.querySelectorAll("time[datetime]")) {
        const secs = Date.parse(element.dateTime) / 1000;
        if (Number.isFinite(secs)) element.textContent = full(secs, timeZone);
    }
}
