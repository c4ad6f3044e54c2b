// Keeps the progress on the page in step with the server; without the script the page reloads itself.
const section = document.getElementById("progress");

async function refresh() {
    try {
        const answer = await fetch("/progress", { cache: "no-store" });
        if (answer.status === 401) return location.reload();
        if (answer.ok && !section.contains(document.activeElement)) section.innerHTML = await answer.text();
    } catch {
        // The server is away: the next round tries again.
    }
    setTimeout(refresh, document.hidden ? 10_000 : 1_500);
}

if (section) setTimeout(refresh, 1_000);
