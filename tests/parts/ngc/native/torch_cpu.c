double cblas_ddot(long, const double*, long, const double*, long);
void cblas_dgemm(
    int, int, int, int, int, int, double, const double*, int, const double*, int, double, double*,
    int);
const char* libc10_name(void);

double at_dot(void)
{
  double a[4] = {1, 2, 3, 4}, b[4] = {3, 0, 4, 0}, c[4];
  if (!libc10_name()) return 0;
  cblas_dgemm(101, 111, 111, 2, 2, 2, 1.0, a, 2, b, 2, 0.0, c, 2);
  return c[0];
}
