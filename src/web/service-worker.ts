// Keeps the page's shell, so that it opens without a network; weights and database are kept by `storage.ts`.

/** What a service worker has and a page has not. */
interface ServiceWorkerScope {
  addEventListener(
    type: "install" | "activate",
    listener: (event: { waitUntil(work: Promise<unknown>): void }) => void,
  ): void;
  addEventListener(
    type: "fetch",
    listener: (event: { readonly request: Request; respondWith(response: Promise<Response>): void }) => void,
  ): void;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  readonly location: Location;
}

/** Written in by the build: the shell's files, the page first, and a hash of them. */
declare const SHELL_FILES: readonly string[];
declare const SHELL_VERSION: string;

const scope = globalThis as unknown as ServiceWorkerScope;
const cachePrefix = "reimagen-shell-";
const cacheName = `${cachePrefix}${SHELL_VERSION}`;
const [page, ...files] = SHELL_FILES.map((file) => new URL(file, scope.location.href).href) as [string, ...string[]];
const folder = new URL("./", scope.location.href).href;

scope.addEventListener("install", (event) => event.waitUntil(install()));
scope.addEventListener("activate", (event) => event.waitUntil(activate()));
scope.addEventListener("fetch", (event) => {
  const address = event.request.url.replace(/[?#].*$/s, "");
  if (event.request.method !== "GET") return;
  if (address === folder || address === page) event.respondWith(networkFirst(event.request));
  else if (files.includes(address)) event.respondWith(cacheFirst(event.request));
});

async function install(): Promise<void> {
  await (await caches.open(cacheName)).addAll([page, ...files]);
  await scope.skipWaiting();
}

async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith(cachePrefix) && name !== cacheName);
  await Promise.all(old.map((name) => caches.delete(name)));
  await scope.clients.claim();
}

/** The page itself: a new version shows at once. */
async function networkFirst(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (offline) {
    const kept = await caches.match(page);
    if (!kept) throw offline;
    return kept;
  }
}

/** The rest is named by its content. */
async function cacheFirst(request: Request): Promise<Response> {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}
