// Our side of `startup.ts`, in a fresh process: from nothing to a finished picture.
import type { BenchAdapter } from "./command.ts";
import { openHost } from "./host.ts";
import { drawFirst } from "./startup.ts";
import { serve } from "./worker.ts";

serve(drawFirst(() => openHost(process.argv[2] as BenchAdapter, () => undefined)));
