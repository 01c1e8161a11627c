// Where the time goes: a chart of the last picture's steps, and of one step's kernels by family.
import { measure } from "./actions.ts";
import { useStore } from "./store.ts";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const precise = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** Families with less arithmetic than this are about moving bytes. */
const leastGflop = 0.01;

/** Both charts. */
export function Timing() {
  return (
    <section aria-labelledby="timing-title">
      <h2 id="timing-title">Time</h2>
      <div class="charts">
        <Steps />
        <Families />
      </div>
    </section>
  );
}

function Steps() {
  const times = useStore((state) => state.times);
  const steps = useStore((state) => state.order?.recipe.steps ?? 0);
  if (times.length === 0) return <p class="soft">Each step of a picture appears here as it is drawn.</p>;
  const slowest = Math.max(...times);
  const median = [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  const words = `Median step ${milliseconds(median)}, slowest ${milliseconds(slowest)}`;
  // A few steps make slim bars too.
  const columns = Math.max(steps, times.length, 20);
  return (
    <figure class="steps">
      <svg viewBox={`0 0 ${columns * 10} 100`} preserveAspectRatio="none" role="img" aria-label={words}>
        {times.map((time, i) => {
          const height = (time / slowest) * 100;
          return <rect key={i} x={i * 10 + 1} y={100 - height} width={8} height={height} />;
        })}
      </svg>
      <figcaption class="soft small">{words}; the first also encodes words and neighbours.</figcaption>
    </figure>
  );
}

function Families() {
  const families = useStore((state) => state.families);
  const activity = useStore((state) => state.activity);
  const ready = useStore((state) => state.opening !== undefined && "machine" in state.opening);
  const all = (families ?? []).reduce((sum, family) => sum + family.milliseconds, 0);
  return (
    <div class="families">
      {families && (
        <table>
          <caption class="soft small">
            One step, {families.reduce((sum, { dispatches }) => sum + dispatches, 0)} dispatches, {milliseconds(all)}
          </caption>
          <thead>
            <tr>
              <th scope="col">Kernels</th>
              <th scope="col">Time</th>
              <th scope="col" class="wide">
                GFLOP/s
              </th>
            </tr>
          </thead>
          <tbody>
            {families.map(({ name, kernels, dispatches, milliseconds: time, gflop }) => (
              <tr key={name}>
                <th scope="row">
                  {name} <span class="soft small">× {dispatches}</span>
                  <span class="soft small kernels">{kernels.join(", ")}</span>
                  <span class="score">
                    <span class="bar" style={{ width: `${(time / families[0]!.milliseconds) * 100}%` }} />
                  </span>
                </th>
                <td>{milliseconds(time)}</td>
                <td class="wide">{gflop > leastGflop ? precise.format(gflop / (time / 1000)) : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <button type="button" disabled={!ready || activity !== "none"} onClick={measure}>
        {activity === "measuring" ? "Measuring …" : "Measure one step, kernel by kernel"}
      </button>
    </div>
  );
}

function milliseconds(time: number): string {
  return `${time < 10 ? precise.format(time) : whole.format(time)} ms`;
}
