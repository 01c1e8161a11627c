// Waiting for Dawn without keeping a core busy.

/** How long a fresh wait asks at every turn: most answers of a fast device come sooner than a timer could tell. */
const eagerMilliseconds = 2;
const pauseMilliseconds = 1;

/** What starts a wait, by class. */
const waits = {
  GPUQueue: ["onSubmittedWorkDone"],
  GPUBuffer: ["mapAsync"],
  GPUDevice: ["createComputePipelineAsync", "createRenderPipelineAsync", "popErrorScope"],
} as const;

type Method = (this: unknown, ...values: unknown[]) => unknown;
type Classes = Record<string, { prototype: Record<string, Method> }>;

let began = 0;

/**
 * While it waits, Dawn's binding for Node asks the device again at every turn of the event loop, by `setImmediate`, and so takes a
 * core: on a software adapter, which computes on these cores, half of two. These waits ask every millisecond instead, after
 * two of asking at once. `classes` are the package's own; a second call changes nothing.
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
    if (performance.now() - began < eagerMilliseconds) setImmediate(again);
    else setTimeout(again, pauseMilliseconds);
  };
  globalThis.setImmediate = later as typeof setImmediate;
  try {
    return native();
  } finally {
    globalThis.setImmediate = setImmediate;
  }
}
