// A fresh process of the packed family `startup`: from nothing to a finished picture.
import { drawFirst } from "../startup.ts";
import { serve } from "../worker.ts";
import { openPack } from "./host.ts";

serve(drawFirst(() => openPack(() => undefined)));
