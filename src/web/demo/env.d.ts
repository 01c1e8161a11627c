// What Vite writes into the page's scripts.
interface ImportMeta {
  readonly env: { readonly PROD: boolean };
}
