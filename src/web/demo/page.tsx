// The page as a whole.
import { useEffect, useState } from "preact/hooks";
import { abort, addPictures, dismissNotice } from "./actions.ts";
import { MachinePanel } from "./machine-panel.tsx";
import { Neighbors } from "./neighbors.tsx";
import { PicturePanel } from "./picture-panel.tsx";
import { Prompt } from "./prompt.tsx";
import { Settings } from "./settings.tsx";
import { ContactSheet, EtaSweep } from "./sheets.tsx";
import { useStore } from "./store.ts";
import { Timing } from "./timing.tsx";

/** Everything between the top of the window and its bottom. */
export function Page() {
  const dropping = useDroppedPictures();
  return (
    <div class={dropping ? "page dropping" : "page"}>
      <header class="top">
        <h1>reimagen</h1>
        <p>Draws your words, with a look at pictures that it finds for them. All of it in this browser, on its GPU.</p>
      </header>
      <main>
        <Prompt />
        <Notice />
        <div class="desk">
          <Neighbors />
          <PicturePanel />
          <Settings />
        </div>
        <ContactSheet />
        <EtaSweep />
        <Timing />
        <MachinePanel />
      </main>
    </div>
  );
}

function Notice() {
  const notice = useStore((state) => state.notice);
  return (
    <div class="notice" role="status">
      {notice && (
        <p>
          {notice.words}{" "}
          {notice.retry && (
            <button
              type="button"
              class="link"
              onClick={() => {
                dismissNotice();
                notice.retry?.();
              }}
            >
              Try again
            </button>
          )}
          <button type="button" class="link" onClick={dismissNotice}>
            Dismiss
          </button>
        </p>
      )}
    </div>
  );
}

/** Pictures that are dropped or pasted anywhere become neighbours; says whether one hovers above the page. Escape stops the drawing. */
function useDroppedPictures(): boolean {
  const [dropping, setDropping] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent) => {
      event.preventDefault();
      setDropping(event.dataTransfer?.types.includes("Files") ?? false);
    };
    const leave = (event: DragEvent) => {
      if (!event.relatedTarget) setDropping(false);
    };
    const drop = (event: DragEvent) => {
      event.preventDefault();
      setDropping(false);
      void addPictures([...(event.dataTransfer?.files ?? [])]);
    };
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length > 0) void addPictures(files);
    };
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape") abort();
    };
    const listeners = { dragover: over, dragleave: leave, drop, paste, keydown: key } as const;
    const entries = Object.entries(listeners) as [string, EventListener][];
    for (const [type, listener] of entries) window.addEventListener(type, listener);
    return () => {
      for (const [type, listener] of entries) window.removeEventListener(type, listener);
    };
  }, []);
  return dropping;
}
