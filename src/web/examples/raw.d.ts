// An import with `?raw` is a file's text, as Vite serves it.
declare module "*?raw" {
  const text: string;
  export default text;
}
