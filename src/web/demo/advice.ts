// What to do where there is no WebGPU.

/** What is known of the browser. */
export interface BrowserFacts {
  /** The page came over https or from localhost. */
  readonly secure: boolean;
  /** The browser has WebGPU but found no graphics adapter. */
  readonly hasWebGpu: boolean;
  readonly userAgent: string;
}

/** Sentences, the most useful first. */
export function adviceFor({ secure, hasWebGpu, userAgent }: BrowserFacts): string[] {
  if (!secure) return ["Open this page by https, or from localhost: browsers offer WebGPU only there."];
  const linux = /Linux/.test(userAgent) && !/Android/.test(userAgent);
  const chromium = /Chrome\//.test(userAgent);
  const firefox = /Firefox\//.test(userAgent);
  const safari = !chromium && !firefox && /Safari\//.test(userAgent);
  if (hasWebGpu)
    return [
      "Switch on “Use graphics acceleration when available” in the browser’s settings, and start it again.",
      ...(chromium ? ["chrome://gpu says what the browser found, and why it does not use it."] : []),
      ...(chromium && linux ? [linuxFlags] : []),
      "On a virtual machine without a GPU there may be none to find.",
    ];
  if (chromium && linux) return [linuxFlags];
  if (chromium)
    return ["Bring the browser up to date: Chrome and Edge have WebGPU from version 113 on, on Android from 121."];
  if (firefox)
    return [
      "Firefox has WebGPU from version 141 on Windows and from 145 on Macs with Apple chips. Elsewhere, set dom.webgpu.enabled in about:config (in Nightly), or use Chrome or Edge.",
    ];
  if (safari)
    return [
      "Safari has WebGPU from version 26 on, with macOS, iOS and iPadOS 26. On an older system, use Chrome or Edge on a Mac.",
    ];
  return ["Use Chrome or Edge from version 113, Safari from 26, or Firefox from 141."];
}

const linuxFlags = "In chrome://flags switch on “Unsafe WebGPU Support” and “Vulkan”, and start the browser again.";
