// Waiting for Dawn without keeping a core busy.

/** A fresh wait asks at every turn for so long: most answers of a fast device come before a thread could have slept. */
const eagerMilliseconds = 0.2;
/** Then the thread sleeps between turns, for a share of the wait so far; from so long on a timer wakes it, and others have their turns meanwhile. */
const napShare = 1 / 16;
const longMilliseconds = 16;

/** What starts a wait, by class. */
const waits = {
  GPUQueue: ["onSubmittedWorkDone"],
  GPUBuffer: ["mapAsync"],
  GPUDevice: ["createComputePipelineAsync", "createRenderPipelineAsync", "popErrorScope"],
} as const;

type Method = (this: unknown, ...values: unknown[]) => unknown;
type Classes = Record<string, { prototype: Record<string, Method> }>;

let began = 0;
/** Nobody wakes who waits here before the time is up. */
const nobody = new Int32Array(new SharedArrayBuffer(4));

/**
 * While it waits, Dawn's binding for Node asks the device again at every turn of the event loop, by `setImmediate`, and so takes a
 * core: on a software adapter, which computes on these cores, half of two. These waits ask ever less often instead, up to a millisecond
 * apart. `classes` are the package's own; a second call changes nothing.
 */
export function pollIdly(classes: object): void {
  for (const [name, methods] of Object.entries(waits)) {
    const { prototype } = (classes as Classes)[name];
    for (const method of methods) if (!wrapped.has(prototype[method])) prototype[method] = idly(prototype[method]);
  }
}

const wrapped = new WeakSet<Method>();

function idly(method: Method): Method {
  const wrapper: Method = function (...values) {
    began = performance.now();
    return schedulingIdly(() => method.apply(this, values));
  };
  wrapped.add(wrapper);
  return wrapper;
}

/** Runs native code, which asks for its next turn before it returns; nobody else sees another `setImmediate` than Node's. */
function schedulingIdly<T>(native: () => T): T {
  const { setImmediate } = globalThis;
  const later = (turn: () => void) => {
    const again = () => schedulingIdly(turn);
    const waited = performance.now() - began;
    if (waited >= longMilliseconds) setTimeout(again, napShare * longMilliseconds);
    else {
      if (waited >= eagerMilliseconds) Atomics.wait(nobody, 0, 0, napShare * waited);
      setImmediate(again);
    }
  };
  globalThis.setImmediate = later as typeof setImmediate;
  try {
    return native();
  } finally {
    globalThis.setImmediate = setImmediate;
  }
}
