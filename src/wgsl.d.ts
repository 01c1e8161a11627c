// A `.wgsl` import is the shader's text; Node's loader hook, Vite and the build all serve it so.
declare module "*.wgsl" {
  const text: string;
  export default text;
}
