#!/bin/sh
# Runs the throughput lab on this machine's GPU: ./run.sh [family ...] [options]; ./run.sh --help lists both.
# Needs an x86-64 Linux with a Vulkan driver, and gzip. BENCH_CACHE names a folder for what is unpacked (else this one, else /tmp).
set -eu
here=$(cd "$(dirname "$0")" && pwd)

stuck() {
  echo "stuck: $1" >&2
  exit 1
}

stage="reading the machine"
hint=
trap 'status=$?; [ $status -eq 0 ] || echo "stopped while $stage (exit status $status)$hint" >&2' EXIT

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || stuck "this folder is for Linux on x86-64, here is $(uname -s) on $(uname -m)"
command -v gzip >/dev/null || stuck "there is no gzip to unpack node with"

stage="unpacking node"
cache=${BENCH_CACHE:-$here/unpacked}
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache=${TMPDIR:-/tmp}/reimagen-bench
mkdir -p "$cache"
for file in node dawn.node; do
  [ -x "$cache/$file" ] && [ "$cache/$file" -nt "$here/$file.gz" ] && continue
  gzip -dc "$here/$file.gz" > "$cache/$file.$$" || stuck "$file.gz cannot be unpacked into $cache: is the disk full?"
  chmod +x "$cache/$file.$$"
  mv "$cache/$file.$$" "$cache/$file"
done
export BENCH_DAWN="$cache/dawn.node"

stage="starting node"
# The packed Vulkan loader comes first; the packed C++ library only where the system has none that serves.
export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
starts() { "$cache/node" -e 'require(process.argv[1])' "$BENCH_DAWN" >/dev/null 2>&1; }
if ! starts; then
  export LD_LIBRARY_PATH="$LD_LIBRARY_PATH:$here/fallback"
  starts || {
    "$cache/node" -e 'require(process.argv[1])' "$BENCH_DAWN" 2>&1 | head -n 5 >&2
    stuck "node or dawn.node does not start; the system's C library may be too old (2.31 or newer is needed)"
  }
fi

stage="looking for a Vulkan driver"
drivers() { ls /etc/vulkan/icd.d/*.json /usr/share/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json "${HOME:-/nonexistent}"/.local/share/vulkan/icd.d/*.json 2>/dev/null || true; }
if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
  nvidia=$(ls /usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.0 /usr/lib64/libGLX_nvidia.so.0 /usr/lib/libGLX_nvidia.so.0 2>/dev/null | head -n 1 || true)
  # Containers often have NVIDIA's driver without the file that tells Vulkan of it.
  if [ -n "$nvidia" ] && ! drivers | grep -q nvidia; then
    printf '{"file_format_version":"1.0.0","ICD":{"library_path":"%s","api_version":"1.3.0"}}\n' "$nvidia" > "$cache/nvidia_icd.json"
    export VK_DRIVER_FILES="$cache/nvidia_icd.json"
  elif [ -z "$(drivers)" ]; then
    stuck "no Vulkan driver is installed: nothing in /usr/share/vulkan/icd.d or /etc/vulkan/icd.d, and no libGLX_nvidia.so.0; VK_DRIVER_FILES may name one"
  fi
fi
echo "Vulkan driver: ${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-$(drivers | tr '\n' ' ')}}" >&2

stage="running the bench"
hint="; VK_LOADER_DEBUG=all in the environment shows which drivers the Vulkan loader tries"
"$cache/node" "$here/bench/main.mjs" "$@"
